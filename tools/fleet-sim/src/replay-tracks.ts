import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readIgc, type TrackFix } from './igc.ts';
import { testImei } from './imei.ts';
import type { Sending } from './race.ts';

export interface ReplayOptions {
  /** Where the first fix of every track is put; the others keep their distance to it. */
  readonly startAtMs: number;
  /** At most so many tracks. Default: all. */
  readonly vehicles?: number;
  /** Nothing later than `startAtMs` + this. Default: to the end of the longest. */
  readonly durationMs?: number;
}

export interface Replay {
  readonly imeis: readonly string[];
  readonly sendings: Iterable<Sending>;
}

/** No race's: those have their seed in its place. */
const replayFleet = 999_999;

/**
 * Flights that people really recorded, as if they were this race's vehicles:
 * 640,000 fixes with their gaps, repeated stamps and steps backwards. They lie in
 * the package `igc-xc-score`, among its tests; each file is a vehicle with a
 * made-up IMEI, and who flew is not read.
 */
export async function replayTracks(options: ReplayOptions): Promise<Replay> {
  const folder = new URL('test/', import.meta.resolve('igc-xc-score/package.json'));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.igc')).toSorted();
  const chosen = files.slice(0, options.vehicles ?? files.length);
  const tracks = await Promise.all(
    chosen.map(async (name, index) => {
      const fixes = readIgc(await readFile(fileURLToPath(new URL(name, folder)), 'latin1'));
      return { imei: testImei(replayFleet, index + 1), fixes };
    }),
  );
  return { imeis: tracks.map(({ imei }) => imei), sendings: mergeTracks(tracks, options) };
}

interface Track {
  readonly imei: string;
  readonly fixes: readonly TrackFix[];
}

function* mergeTracks(
  tracks: readonly Track[],
  { startAtMs, durationMs = Infinity }: ReplayOptions,
): Generator<Sending> {
  const heads = tracks.map((track) => {
    const sendings = sendTrack(track, startAtMs);
    return { sendings, next: sendings.next() };
  });
  for (;;) {
    // A few dozen tracks: looking at each head is quicker than keeping a heap.
    let first: { sending: Sending; head: (typeof heads)[number] } | undefined;
    for (const head of heads) {
      if (
        head.next.done !== true &&
        (first === undefined || head.next.value.sendAtMs < first.sending.sendAtMs)
      ) {
        first = { sending: head.next.value, head };
      }
    }
    if (first === undefined || first.sending.sendAtMs >= startAtMs + durationMs) return;
    yield first.sending;
    first.head.next = first.head.sendings.next();
  }
}

/** In the file's order: a fix with an older stamp than the one before is sent with that one. */
function* sendTrack({ imei, fixes }: Track, startAtMs: number): Generator<Sending, void> {
  const [first] = fixes;
  if (first === undefined) return;
  const shiftMs = startAtMs - first.timeMs;
  let sendAtMs = startAtMs;
  let before = first;
  let speedKmh = 0;
  let courseDeg = 0;
  for (const fix of fixes) {
    const sinceMs = fix.timeMs - before.timeMs;
    // A repeated stamp keeps what was: a repeated fix is then the same record again.
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
          // IGC files do not count them: enough for a fix, or none.
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
