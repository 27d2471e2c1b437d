import type { Redis } from 'ioredis';
import type { Revision } from './revision.ts';
import type { ResultChanges } from './write-results.ts';

/** Gateways that follow need the newest few. With the largest changes these are 256 MiB; in practice they are a few. */
const maxEntries = 128;
/** Of some hundred vehicles on stages: without the changes every gateway reads all tables again. */
const maxChangesBytes = 2_097_152;
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
