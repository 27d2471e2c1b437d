import { timeCrossing } from '../../src/crossing-time.ts';
import { drawTrack } from './analytic-track.ts';
import { createRandom } from './random.ts';

export interface Scenario {
  readonly seed: number;
  readonly crossings: number;
  readonly intervalS: number;
  /** Error of the fixes per axis, and what the calculation takes it for. */
  readonly noiseM: number;
  readonly sigmaM?: number;
  /** Constant speed in km/h, or any motion up to 50 m/s. */
  readonly steadyKmh?: number;
  readonly maxMs2?: number;
  /** Rotation of the gate from a right angle to the track. */
  readonly obliqueDeg?: number;
}

export interface Timing {
  readonly errorMs: number;
  readonly uncertaintyMs: number;
}

/** Drives analytic tracks through gates and times each crossing from noisy fixes whose speeds are in whole km/h. */
export function timeCrossings(scenario: Scenario): Timing[] {
  const { intervalS, noiseM } = scenario;
  const random = createRandom(scenario.seed);
  const timings: Timing[] = [];
  const obliqueRad = ((scenario.obliqueDeg ?? 0) * Math.PI) / 180;
  while (timings.length < scenario.crossings) {
    const startMps = scenario.steadyKmh === undefined ? random.within(0, 45) : scenario.steadyKmh / 3.6;
    const maxMps = scenario.steadyKmh === undefined ? 50 : startMps;
    const track = drawTrack(random, 60 + 4 * intervalS, startMps, maxMps, scenario.maxMs2 ?? 0);
    const gateM = random.within(0.3, 0.7) * track.lengthM;
    const truthMs = track.timeAtS(gateM) * 1000;
    const fixAt = (second: number) => ({
      atMs: second * 1000,
      // Distance from the gate along its normal, with the error of both axes.
      acrossM:
        (track.placeAtM(second) - gateM + noiseM * random.normal()) * Math.cos(obliqueRad) +
        noiseM * random.normal() * Math.sin(obliqueRad),
      speedKmh: Math.round(track.speedAtMps(second) * 3.6),
    });
    let from = fixAt(random.within(0, intervalS));
    if (from.acrossM >= 0) continue;
    for (let second = from.atMs / 1000 + intervalS; second < 60 + 4 * intervalS; second += intervalS) {
      const to = fixAt(second);
      if (to.acrossM >= 0) {
        const acrossM = to.acrossM - from.acrossM;
        const timed = timeCrossing(
          {
            fromMs: from.atMs,
            toMs: to.atMs,
            fromKmh: from.speedKmh,
            toKmh: to.speedKmh,
            lengthM: acrossM / Math.cos(obliqueRad),
            acrossM,
            sigmaM: scenario.sigmaM ?? noiseM,
          },
          -from.acrossM / acrossM,
          60_000,
        );
        if (timed.confidence === 'low') throw new Error('no gap is that long');
        timings.push({ errorMs: Math.abs(timed.atMs - truthMs), uncertaintyMs: timed.uncertaintyMs });
        break;
      }
      from = to;
    }
  }
  return timings;
}

/** The value below which a share of the values are. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
