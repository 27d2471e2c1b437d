import { deleteIdleConsumers, isGroupMissing, otherConnections, readerName } from './consumer-group.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { ReadContext } from './reader-context.ts';
import { RedisReplyError } from './resp-reply.ts';
import { splitQuarantined } from './split-quarantined.ts';

const startCursor = '0-0';

/**
 * Claims entries that other consumers have left pending, until the whole list of pending entries was examined; then
 * deletes consumers that have been idle for long, and looks for another process with the same consumer name.
 */
export async function* claimIdle(context: ReadContext): AsyncGenerator<EntryBatch, void, void> {
  const { client, options, readLimiter, stop } = context;
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
  options.failures.succeeded('claim');
  if (stop.aborted) return;
  await deleteIdle(context);
  await warnOfDuplicate(context);
}

/** Connections that this process had are killed at its start and at each reconnect, so another one is alive. */
async function warnOfDuplicate({ connection, options }: ReadContext): Promise<void> {
  const [other] = await otherConnections(connection, readerName(options));
  if (other === undefined) return;
  const { group, consumer, failures } = options;
  failures.warnOnce(
    'another process reads with this consumer name; give each processor an INSTANCE_ID of its own',
    { group, consumer, address: other.address },
  );
}

async function deleteIdle({ connection, options }: ReadContext): Promise<void> {
  const { stream, deleteConsumersAfterMs, failures, log } = options;
  try {
    const consumers = await deleteIdleConsumers(connection, options, deleteConsumersAfterMs);
    if (consumers.length > 0) log.info({ stream, consumers }, 'deleted idle consumers');
  } catch (error) {
    // Redis may refuse a script that writes, at `maxmemory` for example. Reading does not depend on it.
    if (!(error instanceof RedisReplyError) || isGroupMissing(error)) throw error;
    failures.warnOnce('idle consumers are not deleted; reading continues', { error });
  }
}
