import { delay } from '@app/runtime/retry';
import { batchOf, type EntryBatch } from './entry-batch.ts';
import type { ReadContext } from './reader-context.ts';

const unblockIntervalMs = 100;

/** Reads one batch of new entries: waits for the first, then lingers for more. */
export async function* readNew(context: ReadContext): AsyncGenerator<EntryBatch, void, void> {
  const { client, options, losses, readLimiter, stop } = context;
  const { stream, blockMs, lingerMs, maxPerRead, maxPerBatch, metrics, log } = options;
  // Before the read, which passes over what was trimmed.
  const state = await client.groupState();
  if (state?.entriesAdded === null) {
    options.failures.warnOnce(
      'this Redis does not count entries-added, so lost entries are not detected; use 7 or newer',
    );
  }
  const loss = state === undefined ? undefined : losses.check(state);
  if (loss !== undefined) {
    metrics.entriesLost.inc(loss.entries);
    log.error({ stream, ...loss }, 'entries lost before delivery; give the stream a longer MAXLEN');
  }
  // From here to the listener of `stop` nothing is awaited.
  if (stop.aborted) return;
  const maxEntries = readLimiter.limit(maxPerBatch);
  const firstCount = Math.min(maxPerRead, maxEntries);
  // After a failure without waiting: success must not be noticed only when the next entry arrives.
  const waitMs = options.failures.count('read') === 0 ? Math.max(1, blockMs) : undefined;
  const { entries } = await readFirst(context, firstCount, waitMs);
  if (entries.length === 0) return;
  let rest: EntryBatch['entries'] = [];
  let failure: { readonly cause: unknown } | undefined;
  if (entries.length < maxEntries) {
    try {
      // A read returns with the first entry, and one row per insert would cost the database dearly.
      if (lingerMs > 0 && entries.length < firstCount) await delay(lingerMs, stop).catch(() => undefined);
      const reply = await client.readNew(maxEntries - entries.length);
      context.noteRead(reply.entries.length > 0 ? 'entries' : 'empty', reply);
      rest = reply.entries;
    } catch (cause) {
      // The first entries are in hand.
      failure = { cause };
    }
  }
  yield batchOf(rest.length === 0 ? entries : [...entries, ...rest]);
  if (failure !== undefined) throw failure.cause;
}

async function readFirst(
  context: ReadContext,
  count: number,
  blockMs: number | undefined,
): ReturnType<ReadContext['client']['readNew']> {
  const { client, stop } = context;
  const answered = new AbortController();
  const onStop = (): void => void unblock(context, answered.signal);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    const reply = await client.readNew(count, blockMs);
    context.noteRead(reply.entries.length > 0 ? 'entries' : 'empty', reply);
    return reply;
  } finally {
    stop.removeEventListener('abort', onStop);
    answered.abort();
  }
}

/** Ends the blocked read; repeated until it has ended, because CLIENT UNBLOCK may overtake the read. */
async function unblock({ connection, options }: ReadContext, answered: AbortSignal): Promise<void> {
  while (!answered.aborted) {
    try {
      await options.commands.client('UNBLOCK', connection.clientId);
    } catch (error) {
      options.log.debug({ error }, 'CLIENT UNBLOCK failed; retrying');
    }
    await delay(unblockIntervalMs, answered).catch(() => undefined);
  }
}
