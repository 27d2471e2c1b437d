import type { Redis } from 'ioredis';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';

/**
 * For how long the first entry that is not applied yet has been in the stream; 0 if there is none.
 * XREAD without BLOCK, because the gateway's Redis user need not be allowed anything else.
 */
export async function measureLagSeconds(redis: Redis, place: StreamCursor, nowMs: number): Promise<number> {
  const { stream, appliedId } = place;
  if (appliedId === undefined) return Number.NaN;
  const reply = await redis.xread('COUNT', 1, 'STREAMS', stream, appliedId);
  const nextId = reply?.[0]?.[1][0]?.[0];
  if (nextId === undefined) return 0;
  // While a backlog is read the place moves on as it is looked at: what was applied last has then waited for as long.
  const waitingId = place.appliedId === appliedId ? nextId : (place.appliedId ?? nextId);
  // Redis' clock and this process's are compared: a skew shows as lag.
  return Math.max(0, (nowMs - entryArrivedAtMs(waitingId)) / 1000);
}
