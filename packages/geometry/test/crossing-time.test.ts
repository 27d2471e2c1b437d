import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { positionSigmaM, timeCrossing, type Movement } from '../src/crossing-time.ts';
import { percentile, timeCrossings, type Timing } from './support/time-crossings.ts';
import { uniform } from './support/uniform.ts';

const maxGapMs = 30_000;
const second = { fromMs: 1_000_000, toMs: 1_001_000, sigmaM: 1 };

function movement(fromKmh: number, toKmh: number, lengthM: number, gapMs = 1000): Movement {
  return { ...second, toMs: second.fromMs + gapMs, fromKmh, toKmh, lengthM, acrossM: lengthM };
}

const amount = (max: number) => uniform(0, max);
const errors = (timings: readonly Timing[]) => timings.map(({ errorMs }) => errorMs);

function atMs(...args: Parameters<typeof timeCrossing>): number {
  const timed = timeCrossing(...args);
  if (timed.confidence === 'low') throw new Error('not interpolated');
  return timed.atMs - second.fromMs;
}

const plusMinusMs = (moved: Movement, fraction = 0.5) => {
  const timed = timeCrossing(moved, fraction, maxGapMs);
  return timed.confidence === 'low' ? Number.NaN : timed.uncertaintyMs;
};

/** When half of the way of a braking from 108 km/h to rest in 10 s is done, which is 150 m by the speeds. */
const halfBrakedMs = (lengthM: number) => atMs(movement(108, 0, lengthM, 10_000), 0.5, maxGapMs);

describe('golden times', () => {
  test.each([
    ['a constant speed', movement(108, 108, 30), 0.25, 250],
    // 2 m/s² from rest: 36 m in 6 s, 9 m of them in 3 s.
    ['from rest', movement(0, 43.2, 36, 6000), 0.25, 3000],
    // From 12 m/s to rest in 6 s: 27 m of 36 in 3 s.
    ['to rest', movement(43.2, 0, 36, 6000), 0.75, 3000],
    // 20 m/s to 30 m/s in 4 s: 45 m of 100 m in 2 s.
    ['accelerating', movement(72, 108, 100, 4000), 0.45, 2000],
    ['a length a tenth longer than by the speeds, as scaled', movement(72, 108, 110, 4000), 0.45, 2000],
    ['no speeds', movement(0, 0, 30), 0.4, 400],
    ['a speed that was not measured', movement(0, 3.6, 30), 0.4, 400],
    ['at the first fix', movement(0, 43.2, 36, 6000), 0, 0],
    ['at the last fix', movement(43.2, 0, 36, 6000), 1, 6000],
    ['a negative speed is none', movement(-50, -50, 30), 0.4, 400],
  ])('%s', (_, moved, fraction, expectedMs) => {
    expect(atMs(moved, fraction, maxGapMs)).toBe(expectedMs);
  });

  test('speeds count up to a difference of a third of the length, beyond the error of the fixes', () => {
    // The error of 1 m allows for 2.2·√2 = 3.11 m more.
    expect(halfBrakedMs(225 + 4.66)).toBe(2929);
    expect(halfBrakedMs(225 + 4.68)).toBe(5000);
    expect(halfBrakedMs(100 - 3.11)).toBe(2929);
    expect(halfBrakedMs(100 - 3.12)).toBe(5000);
  });

  test('a gap is interpolated up to its maximum', () => {
    expect(timeCrossing(movement(36, 36, 300, 30_000), 0.5, maxGapMs).confidence).toBe('interpolated');
    expect(timeCrossing(movement(36, 36, 300, 30_001), 0.5, maxGapMs)).toEqual({
      confidence: 'low',
      afterMs: second.fromMs,
      beforeMs: second.fromMs + 30_001,
    });
  });
});

describe('the uncertainty', () => {
  test('at 1 Hz and 110 km/h: 0.5 m for the motion in between, 2.2 m for an error of 1 m, 4.4 m if it is crossed at 30°', () => {
    const steady = movement(110, 110, 110 / 3.6);
    expect(plusMinusMs({ ...steady, sigmaM: 0 })).toBe(17);
    expect(plusMinusMs(steady)).toBe(89);
    expect(plusMinusMs({ ...steady, acrossM: steady.lengthM / 2 })).toBe(161);
  });

  test('grows with the interval, the error, the speed change and the contradiction, and falls with the speed', () => {
    const base = plusMinusMs(movement(72, 72, 20));
    expect(plusMinusMs(movement(72, 72, 100, 5000))).toBeGreaterThan(base);
    expect(plusMinusMs({ ...movement(72, 72, 20), sigmaM: 3 })).toBeGreaterThan(2 * base);
    expect(plusMinusMs(movement(24, 120, 20), 0.1)).toBeGreaterThan(base);
    expect(plusMinusMs(movement(72, 72, 26))).toBeGreaterThan(base);
    expect(plusMinusMs(movement(144, 144, 40))).toBeLessThan(base);
  });

  test('any movement: a finite time within it, and a finite uncertainty', () => {
    fc.assert(
      fc.property(
        fc.record({
          gapMs: fc.integer({ min: 0, max: maxGapMs }),
          fromKmh: amount(1000),
          toKmh: amount(1000),
          lengthM: amount(100_000),
          share: uniform(1e-6, 1),
          sigmaM: amount(100),
          fraction: amount(1),
        }),
        ({ gapMs, fromKmh, toKmh, lengthM, share, sigmaM, fraction }) => {
          fc.pre(lengthM > 0 && lengthM * share > 0);
          const moved = { ...movement(fromKmh, toKmh, lengthM, gapMs), acrossM: lengthM * share, sigmaM };
          const timed = timeCrossing(moved, fraction, maxGapMs);
          if (timed.confidence === 'low') throw new Error('not interpolated');
          expect(timed.atMs).toBeGreaterThanOrEqual(moved.fromMs);
          expect(timed.atMs).toBeLessThanOrEqual(moved.toMs);
          expect(timed.uncertaintyMs).toBeGreaterThanOrEqual(1);
          expect(Number.isFinite(timed.uncertaintyMs)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a later place is never passed earlier', () => {
    fc.assert(
      fc.property(amount(200), amount(200), amount(1), amount(1), (fromKmh, toKmh, a, b) => {
        const moved = movement(fromKmh, toKmh, 30);
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        expect(atMs(moved, first, maxGapMs)).toBeLessThanOrEqual(atMs(moved, last, maxGapMs));
      }),
    );
  });
});

describe('against analytic tracks', () => {
  const steady = { seed: 14, crossings: 3000, intervalS: 1, steadyKmh: 110 };

  test('at 1 Hz and 110 km/h without noise the median error is at most 2 ms', () => {
    expect(percentile(errors(timeCrossings({ ...steady, noiseM: 0 })), 0.5)).toBeLessThanOrEqual(2);
  });

  test('with 1 m of noise an axis the median error is at most 20 ms and the 95th percentile 60 ms', () => {
    const noisy = errors(timeCrossings({ ...steady, noiseM: 1 }));
    expect(percentile(noisy, 0.5)).toBeLessThanOrEqual(20);
    expect(percentile(noisy, 0.95)).toBeLessThanOrEqual(60);
  });

  const scenarios = [0.2, 0.5, 1, 2, 5, 10, 20, 30].flatMap((intervalS) =>
    [0, 0.3, 1, 3].flatMap((noiseM) => [0, 45].map((obliqueDeg) => ({ intervalS, noiseM, obliqueDeg }))),
  );

  test.each(scenarios)(
    'fixes every $intervalS s, noise $noiseM m, gate at $obliqueDeg°: 95 % of the truths are inside, without waste',
    (scenario) => {
      const timings = timeCrossings({ seed: 7, crossings: 1000, maxMs2: 5, ...scenario });
      const inside = timings.filter(({ errorMs, uncertaintyMs }) => errorMs <= uncertaintyMs).length;
      expect(inside / timings.length).toBeGreaterThanOrEqual(0.95);
      // Normal errors of which 95 % are within ± have a median of a third of it.
      const typicalMs = percentile(
        timings.map(({ uncertaintyMs }) => uncertaintyMs),
        0.5,
      );
      const intervalMs = scenario.intervalS * 1000;
      expect(typicalMs).toBeLessThanOrEqual(Math.max(6 * percentile(errors(timings), 0.5), 0.3 * intervalMs));
    },
  );

  test('at a walking pace, where fixes are as close as their error, 95 % are inside as well', () => {
    for (const intervalS of [0.2, 1, 5]) {
      const timings = timeCrossings({ seed: 3, crossings: 1000, intervalS, noiseM: 3, steadyKmh: 10 });
      const inside = timings.filter(({ errorMs, uncertaintyMs }) => errorMs <= uncertaintyMs).length;
      expect(inside / timings.length).toBeGreaterThanOrEqual(0.95);
    }
  });
});

test.each([
  [1, 2.1213],
  [2, 4.2426],
  [0, 3],
  [undefined, 3],
  [Number.NaN, 3],
])('an HDOP of %s is an error of %s m an axis', (hdop, sigmaM) => {
  expect(positionSigmaM(hdop)).toBeCloseTo(sigmaM, 4);
});
