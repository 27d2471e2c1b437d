import type { EntriesReply } from './entry-reply.ts';
import { batchOf, type EntryBatch } from './entry-batch.ts';
import type { ReadContext } from './reader-context.ts';

/** Few enough to be done soon one by one, and enough to be fast if none of them is at fault. */
const maxQuarantinedBatch = 100;

/**
 * Makes batches of redelivered entries, without the excluded ones: healthy entries together, then those that were
 * delivered too often. A high count alone proves nothing, since every restart during an outage raises it.
 *
 * Throws after the last batch if Redis could not be asked for the counts: the entries are in hand, and may not be
 * delivered again soon.
 */
export async function* splitQuarantined(
  { client, options }: ReadContext,
  reply: EntriesReply,
  excluded: ReadonlySet<string>,
): AsyncGenerator<EntryBatch, void, void> {
  const entries = reply.entries.filter(({ id }) => !excluded.has(id));
  const vanishedIds = reply.vanishedIds.filter((id) => !excluded.has(id));
  if (vanishedIds.length > 0) reportVanished(options, vanishedIds);
  const firstId = entries[0]?.id;
  const lastId = entries.at(-1)?.id;
  if (firstId === undefined || lastId === undefined) {
    if (vanishedIds.length > 0) yield batchOf([], vanishedIds);
    return;
  }
  // The id range also contains vanished and excluded entries.
  const count = reply.entries.length + reply.vanishedIds.length + excluded.size;
  let deliveries: ReadonlyMap<string, number> = new Map();
  let failure: { readonly cause: unknown } | undefined;
  try {
    deliveries = await client.deliveries(firstId, lastId, count);
  } catch (cause) {
    failure = { cause };
  }
  const counted = entries.map((entry) => entry.deliveredTimes(deliveries.get(entry.id) ?? 1));
  const healthy = counted.filter((entry) => entry.deliveries <= options.maxDeliveries);
  const quarantined = counted.filter((entry) => entry.deliveries > options.maxDeliveries);
  if (healthy.length > 0 || vanishedIds.length > 0) yield batchOf(healthy, vanishedIds);
  for (let from = 0; from < quarantined.length; from += maxQuarantinedBatch) {
    const slice = quarantined.slice(from, from + maxQuarantinedBatch);
    yield { entries: slice, vanishedIds: [], isQuarantined: true };
  }
  if (failure !== undefined) throw failure.cause;
}

function reportVanished({ stream, metrics, log }: ReadContext['options'], ids: readonly string[]): void {
  metrics.entriesVanished.inc(ids.length);
  log.error(
    { stream, entries: ids.length, firstId: ids[0], lastId: ids.at(-1) },
    'pending entries were deleted from the stream; they may not have been stored',
  );
}
