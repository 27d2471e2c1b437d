import type { TrackFix } from './igc.ts';
import { testImei } from './imei.ts';
import { readRecordedTracks } from './recorded-tracks.ts';
import type { TimedRecord } from './timed-record.ts';

export interface ReplayOptions {
  /** Time of the first fix of every track; the others keep their distance to it. */
  readonly startAtMs: number;
  /** Maximum number of tracks. Default: all. */
  readonly vehicles?: number;
  /** Nothing is sent at or after `startAtMs + durationMs`. Default: until the longest track ends. */
  readonly durationMs?: number;
}

export interface Replay {
  readonly imeis: readonly string[];
  readonly records: Iterable<TimedRecord>;
}

/** Differs from the fleet number of any race, which is its seed. */
const replayFleet = 999_999;

/** Replays recorded flights as vehicles of a race, each with a test IMEI. */
export async function replayTracks(options: ReplayOptions): Promise<Replay> {
  const recorded = await readRecordedTracks(options.vehicles);
  const tracks = recorded.map((fixes, index) => ({ imei: testImei(replayFleet, index + 1), fixes }));
  return { imeis: tracks.map(({ imei }) => imei), records: mergeTracks(tracks, options) };
}

interface Track {
  readonly imei: string;
  readonly fixes: readonly TrackFix[];
}

function* mergeTracks(
  tracks: readonly Track[],
  { startAtMs, durationMs = Infinity }: ReplayOptions,
): Generator<TimedRecord> {
  const heads = tracks.map((track) => {
    const records = sendTrack(track, startAtMs);
    return { records, next: records.next() };
  });
  for (;;) {
    // For a few dozen tracks a linear search is faster than a heap.
    let first: { timed: TimedRecord; head: (typeof heads)[number] } | undefined;
    for (const head of heads) {
      if (
        head.next.done !== true &&
        (first === undefined || head.next.value.sendAtMs < first.timed.sendAtMs)
      ) {
        first = { timed: head.next.value, head };
      }
    }
    if (first === undefined || first.timed.sendAtMs >= startAtMs + durationMs) return;
    yield first.timed;
    first.head.next = first.head.records.next();
  }
}

/** Keeps the file's order: a fix older than the one before is sent together with it. */
function* sendTrack({ imei, fixes }: Track, startAtMs: number): Generator<TimedRecord, void> {
  const [first] = fixes;
  if (first === undefined) return;
  const shiftMs = startAtMs - first.timeMs;
  let sendAtMs = startAtMs;
  let before = first;
  let speedKmh = 0;
  let courseDeg = 0;
  for (const fix of fixes) {
    const sinceMs = fix.timeMs - before.timeMs;
    // A repeated time keeps speed and course, so that a repeated fix gives an identical record.
    if (sinceMs > 0) ({ speedKmh, courseDeg } = motionBetween(before, fix, sinceMs));
    if (sinceMs !== 0) before = fix;
    sendAtMs = Math.max(sendAtMs, fix.timeMs + shiftMs);
    yield {
      sendAtMs,
      record: {
        codec: '8E',
        position: {
          deviceId: imei,
          fixAtMs: fix.timeMs + shiftMs,
          latitude: fix.latitude,
          longitude: fix.longitude,
          altitudeM: fix.altitudeM,
          courseDeg,
          speedKmh,
          // IGC files have no satellite count.
          satellites: fix.isValid ? 9 : 0,
          priority: 0,
          attributes: { '69': fix.isValid ? 1 : 3 },
        },
      },
    };
  }
}

function motionBetween(
  from: TrackFix,
  to: TrackFix,
  durationMs: number,
): { speedKmh: number; courseDeg: number } {
  const northM = (to.latitude - from.latitude) * 111_320;
  const eastM = (to.longitude - from.longitude) * 111_320 * Math.cos((to.latitude * Math.PI) / 180);
  return {
    speedKmh: Math.min(1_000, Math.round((Math.hypot(eastM, northM) / durationMs) * 3_600)),
    courseDeg: Math.round((Math.atan2(eastM, northM) * 180) / Math.PI + 360) % 360,
  };
}
