import type { Redis } from 'ioredis';
import { readStreamLag } from '../../stream/stream-lag.ts';

/** Entries that stay pending for longer wait for something else than Postgres, such as space for dead letters. */
const maxPendingMs = 300_000;

/**
 * Until when records that arrived are stored, by Redis' clock: without it every vehicle would be silent after an outage of
 * Postgres, until the backlog is stored. Undefined if it is not known of one of the streams.
 */
export async function readStoredUntil(
  redis: Redis,
  streams: readonly string[],
  group: string,
): Promise<number | undefined> {
  const lags = await Promise.all(streams.map((stream) => readStreamLag(redis, stream, group)));
  let untilMs = Infinity;
  for (const lag of lags) {
    if (lag?.lagMs === undefined || lag.oldestPendingMs === undefined) return undefined;
    untilMs = Math.min(untilMs, lag.atMs - Math.max(lag.lagMs, Math.min(lag.oldestPendingMs, maxPendingMs)));
  }
  return untilMs;
}
