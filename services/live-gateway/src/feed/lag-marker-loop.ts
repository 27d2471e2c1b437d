import type { Redis } from 'ioredis';
import { delay } from '@app/runtime/retry';
import { isNotPermitted, removeStaleLagMarkers, setLagMarker } from './lag-marker-group.ts';
import { readEpoch } from './epoch.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';
import { measureLagSeconds } from './measure-lag.ts';
import { readStreamInfo } from './stream-info.ts';
import type { Timeline } from './timeline.ts';

const intervalMs = 1_000;

/**
 * Once a second and stream: notices a stream that went back, keeps its epoch, measures the lag, moves the bookmark.
 * Reading depends on none of it, so trouble is reported and tried again. Rejects with the signal's reason.
 */
export async function runLagMarkerLoop(options: {
  readonly redis: Redis;
  readonly places: readonly StreamCursor[];
  readonly timeline: Timeline;
  /** This instance's bookmark. */
  readonly group: string;
  readonly groupPrefix: string;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly onLag: (stream: string, lagSeconds: number) => void;
  /** Once, where Redis' user may not keep bookmarks: everything else goes on without. */
  readonly onNotPermitted: () => void;
  readonly onWentBack: (place: StreamCursor) => void;
  /** The stream has another epoch than before. */
  readonly onEpoch: (place: StreamCursor) => void;
  /** Once, where Redis' user may not keep epochs: then this process alone resumes what it has shown. */
  readonly onNoEpoch: () => void;
  readonly onStaleRemoved: (stream: string, groups: readonly string[]) => void;
  /** Once a turn: with the error, or without one when it went well. */
  readonly onTurn: (error?: unknown) => void;
}): Promise<never> {
  const { redis, places, timeline, group, signal, nowMs } = options;
  const cleaned = new Set<StreamCursor>();
  let mayKeep = true;
  let mayKeepEpoch = true;
  for (;;) {
    try {
      for (const place of places) {
        const info = await detectStepBack(redis, place, () => options.onWentBack(place));
        if (mayKeepEpoch) {
          const isKept = await keepEpoch(redis, timeline, place, nowMs(), () => options.onEpoch(place));
          if (!isKept) options.onNoEpoch();
          mayKeepEpoch = isKept;
        }
        options.onLag(place.stream, await measureLagSeconds(redis, place, nowMs()));
        if (!info.exists || !mayKeep) continue;
        try {
          await setLagMarker(redis, group, place);
        } catch (error) {
          if (!isNotPermitted(error)) throw error;
          mayKeep = false;
          options.onNotPermitted();
          continue;
        }
        if (cleaned.has(place)) continue;
        const removed = await removeStaleLagMarkers(
          redis,
          place.stream,
          info.lastGeneratedId,
          options.groupPrefix,
        );
        cleaned.add(place);
        if (removed.length > 0) options.onStaleRemoved(place.stream, removed);
      }
      options.onTurn();
    } catch (error) {
      signal.throwIfAborted();
      for (const place of places) options.onLag(place.stream, Number.NaN);
      options.onTurn(error);
    }
    await delay(intervalMs, signal);
  }
}

/** @returns false if that is not permitted. */
async function keepEpoch(
  redis: Redis,
  timeline: Timeline,
  place: StreamCursor,
  nowMs: number,
  onChanged: () => void,
): Promise<boolean> {
  const doubted = timeline.invalidatedEpoch(place);
  let epoch: string;
  try {
    epoch = await readEpoch(redis, place.stream, doubted, nowMs);
  } catch (error) {
    if (isNotPermitted(error)) return false;
    throw error;
  }
  // One that came into doubt while Redis answered is settled in the next turn.
  if (timeline.invalidatedEpoch(place) === doubted && timeline.setEpoch(place, epoch)) onChanged();
  return true;
}

/** FLUSHALL, or DEL of the stream: an XREAD from the old id would wait for ids that may never come again. */
async function detectStepBack(
  redis: Redis,
  place: StreamCursor,
  onWentBack: () => void,
): Promise<StreamInfo> {
  const { appliedId } = place;
  const info = await readStreamInfo(redis, place.stream);
  // Entries that were applied while Redis answered are no step back.
  if (appliedId !== undefined && place.appliedId === appliedId && place.locate(info, 0)) onWentBack();
  return info;
}
