import { crossGate, prepareGate, type Gate } from '@app/geometry/gate-crossing';
import { positionSigmaM, timeCrossing } from '@app/geometry/crossing-time';
import { distanceM } from '@app/geometry/distance';
import { GeometryError } from '@app/geometry/geometry-error';
import type { Timing } from '@app/geometry/testing/time-crossings';
import { readRecordedTracks } from '@app/fleet-sim/recorded-tracks';

type Track = Awaited<ReturnType<typeof readRecordedTracks>>[number];

export interface RecordedTimings {
  readonly timings: readonly Timing[];
  /** Gates that a movement between decimated fixes does not cross, because the track bends. */
  readonly missed: number;
}

/** Slower than this the rounding of the coordinates, of 1.9 m, decides how fast a fix seems to be. */
const minKmh = 36;
const gateHalfWidthM = 100;
const maxGapMs = 60_000;

/**
 * A gate across every `gateEveryS`-th second of each track that was recorded at 1 Hz, and when the decimated track crosses it,
 * compared with when the full one does. Speeds are those between the neighbours of a fix, as these files have none.
 */
export async function timeRecordedCrossings(
  intervalsS: readonly number[],
  gateEveryS: number,
): Promise<ReadonlyMap<number, RecordedTimings>> {
  const results = new Map(
    intervalsS.map((intervalS) => [intervalS, { timings: new Array<Timing>(), missed: 0 }]),
  );
  const reachS = Math.max(...intervalsS) + 1;
  let gates = 0;
  for (const track of await readRecordedTracks()) {
    for (let at = reachS; at + reachS < track.length; at += gateEveryS) {
      if (!isSteady(track, at - reachS, at + reachS)) continue;
      const truth = crossAt(track, at, at + 1, gateAcross(track, at));
      if (truth?.time.confidence !== 'interpolated') continue;
      gates += 1;
      for (const [intervalS, result] of results) {
        // Which of the fixes between are left out differs from gate to gate.
        const from = at - (gates % intervalS);
        const crossed = crossAt(track, from, from + intervalS, truth.gate);
        if (crossed?.time.confidence !== 'interpolated') result.missed += 1;
        else {
          const errorMs = Math.abs(crossed.time.atMs - truth.time.atMs);
          result.timings.push({ errorMs, uncertaintyMs: crossed.time.uncertaintyMs });
        }
      }
    }
  }
  return results;
}

/** Recorded once a second without a gap or an invalid fix, and never slow. */
function isSteady(track: Track, from: number, until: number): boolean {
  for (let at = from; at < until; at += 1) {
    const [fix, next] = [track[at], track[at + 1]];
    if (!fix?.isValid || !next || next.timeMs - fix.timeMs !== 1000) return false;
    if (distanceM(fix, next) * 3.6 < minKmh) return false;
  }
  return true;
}

/** Across the middle of the movement from a fix to the next, at right angles. */
function gateAcross(track: Track, at: number): Gate | undefined {
  const [from, to] = [track[at], track[at + 1]];
  if (!from || !to) return undefined;
  const latitude = (from.latitude + to.latitude) / 2;
  const longitude = (from.longitude + to.longitude) / 2;
  const eastPerNorth = Math.cos((latitude * Math.PI) / 180);
  const [northM, eastM] = [to.latitude - from.latitude, (to.longitude - from.longitude) * eastPerNorth];
  const scale = gateHalfWidthM / 111_200 / Math.hypot(northM, eastM);
  const post = (side: number) => ({
    latitude: latitude + side * scale * eastM,
    longitude: longitude - (side * scale * northM) / eastPerNorth,
  });
  const gate = prepareGate(post(1), post(-1));
  return gate instanceof GeometryError ? undefined : gate;
}

function crossAt(track: Track, fromIndex: number, toIndex: number, gate: Gate | undefined) {
  const [from, to] = [track[fromIndex], track[toIndex]];
  if (!from || !to || !gate) return undefined;
  const crossing = crossGate(gate, from, to);
  if (crossing?.direction !== 'forward') return undefined;
  const { fraction, lengthM, acrossM } = crossing;
  const time = timeCrossing(
    {
      fromMs: from.timeMs,
      toMs: to.timeMs,
      fromKmh: speedKmh(track, fromIndex),
      toKmh: speedKmh(track, toIndex),
      lengthM,
      acrossM,
      sigmaM: positionSigmaM(),
    },
    fraction,
    maxGapMs,
  );
  return { gate, time };
}

/** Whole km/h, as trackers report them. */
function speedKmh(track: Track, at: number): number {
  const [before, after] = [track[at - 1], track[at + 1]];
  return before && after ? Math.round((distanceM(before, after) / 2) * 3.6) : 0;
}
