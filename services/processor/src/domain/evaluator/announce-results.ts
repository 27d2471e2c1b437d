import type { Redis } from 'ioredis';
import type { Revision } from './revision.ts';
import type { ResultChanges } from './write-results.ts';

/** Bounds the stream to a few hundred megabytes of changes at worst, to a few in practice. */
const maxEntries = 1000;
const maxChangesBytes = 262_144;
const expireAfterS = 86_400;

/** What gateways read: each entry is a revision of an event's results. */
export function resultsStream(eventId: string): string {
  return `results:${eventId}`;
}

/**
 * Announces a revision with its changes, by table: rows to set, and keys that are gone. Without changes it has to be read
 * from the tables: they are too many, unknown, or those of several revisions.
 */
export async function announceResults(
  redis: Redis,
  eventId: string,
  { revision, revisedAtUs }: Revision,
  changes: ResultChanges | undefined,
): Promise<void> {
  const key = resultsStream(eventId);
  const json = changes === undefined ? '' : JSON.stringify(changes);
  const id = ['revision', revision, 'revised_at_us', revisedAtUs];
  const fields = json === '' || json.length > maxChangesBytes ? [] : ['changes', json];
  await redis.xadd(key, 'MAXLEN', '~', maxEntries, '*', ...id, ...fields);
  await redis.expire(key, expireAfterS);
}
