import { deleteIdleConsumers } from './consumer-group.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { ReadContext } from './reader-context.ts';
import { splitQuarantined } from './split-quarantined.ts';

const startCursor = '0-0';

/**
 * Claims entries that other consumers have left pending, until the whole list of pending entries was examined; then
 * deletes consumers that have been idle for long.
 */
export async function* claimIdle(context: ReadContext): AsyncGenerator<EntryBatch, void, void> {
  const { connection, client, options, readLimiter, stop } = context;
  const { stream, metrics, log } = options;
  let cursor = startCursor;
  do {
    // Before the command, as in `readPending`.
    const excluded = options.excludedIds();
    const claimed = await client.autoclaim(
      options.claimIdleMs,
      cursor,
      readLimiter.limit(options.maxPerRead),
    );
    context.noteRead('claimed', claimed);
    const taken = claimed.entries.filter(({ id }) => !excluded.has(id)).length;
    if (taken > 0) {
      metrics.entriesClaimed.inc(taken);
      log.info({ stream, entries: taken }, 'claimed idle entries');
    }
    yield* splitQuarantined(context, claimed, excluded);
    cursor = claimed.cursor;
  } while (cursor !== startCursor && !stop.aborted);
  if (stop.aborted) return;
  const consumers = await deleteIdleConsumers(connection, options, options.deleteConsumersAfterMs);
  if (consumers.length > 0) log.info({ stream, consumers }, 'deleted idle consumers');
}
