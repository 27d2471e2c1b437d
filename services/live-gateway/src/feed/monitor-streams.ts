import type { Redis } from 'ioredis';
import { delay } from '@app/runtime/retry';
import { checkForRewind } from './check-for-rewind.ts';
import type { LagMarkers } from './lag-markers.ts';
import { measureLagSeconds } from './measure-lag.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';
import type { SyncEpoch } from './sync-epoch.ts';

const intervalMs = 1_000;

/**
 * Every second, per stream: checks for a rewind, syncs the epoch, measures the lag, moves the lag-marker group. Reading
 * the streams does not depend on any of it, so a failure is reported and retried. Rejects with the signal's reason.
 */
export async function monitorStreams(
  cursors: readonly StreamCursor[],
  options: {
    readonly redis: Redis;
    readonly syncEpoch: SyncEpoch;
    readonly lagMarkers: LagMarkers;
    readonly onRewound: (cursor: StreamCursor, info: StreamInfo) => void;
    readonly onNewEpoch: (stream: string) => void;
    /** NaN while the lag is unknown. */
    readonly onLag: (stream: string, lagSeconds: number) => void;
    /** Called after each iteration, with the error if it failed. */
    readonly onIteration: (error?: unknown) => void;
    readonly nowMs: () => number;
  },
  signal: AbortSignal,
): Promise<never> {
  const { redis, syncEpoch, lagMarkers, onRewound, onNewEpoch, onLag, onIteration, nowMs } = options;
  for (;;) {
    try {
      for (const cursor of cursors) {
        const { info, isRewound } = await checkForRewind(redis, cursor);
        if (isRewound) onRewound(cursor, info);
        if (await syncEpoch(cursor, nowMs())) onNewEpoch(cursor.stream);
        onLag(cursor.stream, await measureLagSeconds(redis, cursor, nowMs()));
        if (info.exists) await lagMarkers.update(cursor, info.lastGeneratedId);
      }
      onIteration();
    } catch (error) {
      signal.throwIfAborted();
      for (const { stream } of cursors) onLag(stream, Number.NaN);
      onIteration(error);
    }
    await delay(intervalMs, signal);
  }
}
