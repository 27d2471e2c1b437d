import type { Redis } from 'ioredis';
import type { ClockMonitor } from '@app/runtime/clock-monitor';
import { delay } from '@app/runtime/retry';
import { checkForRewind } from './check-for-rewind.ts';
import type { LagMarkers } from './lag-markers.ts';
import { measureLagSeconds } from './measure-lag.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';
import type { SyncEpoch } from './sync-epoch.ts';

const intervalMs = 1_000;

/**
 * Every second, per stream: checks for a rewind, measures the lag, syncs the epoch, moves the lag-marker group. Reading
 * the streams does not depend on any of it, so a failure is reported and retried; it concerns one stream, and where the
 * lag was measured before it, the lag is known. Rejects with the signal's reason.
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
    /** Called for each stream after each iteration, with the error if it failed. */
    readonly onIteration: (stream: string, error?: unknown) => void;
    readonly clocks: Pick<ClockMonitor, 'ageMs' | 'nowMs'>;
  },
  signal: AbortSignal,
): Promise<never> {
  const { redis, syncEpoch, lagMarkers, onRewound, onNewEpoch, onLag, onIteration, clocks } = options;
  for (;;) {
    for (const cursor of cursors) {
      const { stream } = cursor;
      let lagSeconds = Number.NaN;
      try {
        const { info, isRewound } = await checkForRewind(redis, cursor);
        if (isRewound) onRewound(cursor, info);
        lagSeconds = await measureLagSeconds(redis, cursor, (idMs) => clocks.ageMs(idMs));
        if (await syncEpoch(cursor, clocks.nowMs())) onNewEpoch(stream);
        if (info.exists) await lagMarkers.update(cursor, info.lastGeneratedId);
        onIteration(stream);
      } catch (error) {
        signal.throwIfAborted();
        onIteration(stream, error);
      }
      onLag(stream, lagSeconds);
    }
    await delay(intervalMs, signal);
  }
}
