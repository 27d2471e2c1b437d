import type { Redis } from 'ioredis';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';

/**
 * Age in seconds of the first entry that is not applied yet; 0 if there is none, NaN before the cursor is located.
 *
 * @param ageMs the age of an entry by the time in its id.
 * XREAD without BLOCK, because the gateway's Redis user may do little else.
 */
export async function measureLagSeconds(
  redis: Redis,
  cursor: StreamCursor,
  ageMs: (idMs: number) => number,
): Promise<number> {
  const { stream, appliedId } = cursor;
  if (appliedId === undefined) return Number.NaN;
  const reply = await redis.xread('COUNT', 1, 'STREAMS', stream, appliedId);
  const nextId = reply?.[0]?.[1][0]?.[0];
  if (nextId === undefined) return 0;
  // If the cursor moved while Redis answered, `nextId` is applied by now; use the last applied entry instead.
  const waitingId = cursor.appliedId === appliedId ? nextId : (cursor.appliedId ?? nextId);
  return ageMs(entryArrivedAtMs(waitingId)) / 1000;
}
