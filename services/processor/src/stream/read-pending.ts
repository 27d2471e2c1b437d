import type { EntryBatch } from './entry-batch.ts';
import type { ReadContext } from './reader-context.ts';
import { splitQuarantined } from './split-quarantined.ts';
import { maxEntryId } from './stream-client.ts';

/** Reads this consumer's own pending entries, page by page: delivered before, and never acknowledged. */
export async function* readPending(context: ReadContext): AsyncGenerator<EntryBatch, void, void> {
  const { client, options, readLimiter, stop } = context;
  let lastId = '0';
  while (!stop.aborted) {
    // Before the command: an acknowledgement answered meanwhile must not let its entry through.
    const excluded = options.excludedIds();
    const page = await client.readPending(readLimiter.limit(options.maxPerRead), lastId);
    context.noteRead('pending', page);
    const ids = [...page.entries.map(({ id }) => id), ...page.vanishedIds];
    if (ids.length === 0) return;
    yield* splitQuarantined(context, page, excluded);
    // Excluded ids advance it too, or a page full of them would be read for ever.
    lastId = maxEntryId(ids, lastId);
  }
}
