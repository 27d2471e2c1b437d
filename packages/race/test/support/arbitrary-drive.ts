import * as fc from 'fast-check';
import type { Fix } from '../../src/fix.ts';
import { makeFix, makeRace } from './race.ts';

/** One of everything, close together, so that a random drive meets all of it. */
export const smallRace = makeRace({
  thresholds: { standingAfterS: 20, maximumGapS: 15, sosGapS: 10 },
  stages: [
    {
      id: 'SS1',
      line: [
        [0, 0],
        [500, 0],
        [500, 300],
        [0, 300],
      ],
      timeLimitS: 900,
    },
    {
      id: 'SS2',
      line: [
        [300, -200],
        [300, 400],
      ],
    },
  ],
  gates: [
    { id: 'S', left: [0, 50], right: [0, -50] },
    { id: 'M', left: [250, 50], right: [250, -50], direction: 'both', deadTimeS: 3 },
    { id: 'F', left: [500, 100], right: [400, 100], deadTimeS: 0 },
  ],
  waypoints: [
    { id: 'W1', at: [100, 0], radiusM: 40 },
    { id: 'W2', at: [400, 0], radiusM: 60, isAnyOrder: true },
    { id: 'W3', at: [400, 200], radiusM: 50 },
  ],
  zones: [
    {
      id: 'Z1',
      polygon: [
        [50, -100],
        [350, -100],
        [350, 100],
        [50, 100],
      ],
      limitKmh: 60,
      toleranceKmh: 5,
      graceM: 20,
    },
    { id: 'Z2', between: ['W1', 'W3'], limitKmh: 50, minimumDurationS: 2 },
    {
      id: 'P',
      kind: 'protected',
      polygon: [
        [200, 150],
        [400, 150],
        [300, 400],
      ],
    },
  ],
});

/** Steps on a grid of 10 m, so that fixes are exactly on edges, posts and vertices, with pauses and gaps. */
const step = fc.record({
  afterMs: fc.oneof(
    fc.integer({ min: 200, max: 3000 }),
    fc.constantFrom(1000, 10_000, 15_000, 15_001, 40_000),
  ),
  eastSteps: fc.integer({ min: -6, max: 8 }),
  northSteps: fc.integer({ min: -6, max: 6 }),
  speedKmh: fc.oneof(fc.constantFrom(0, 5, 60, 65, 110), fc.double({ min: 0, max: 200, noNaN: true })),
  hdop: fc.constantFrom(undefined, 0.8, 1, 5),
  priority: fc.constantFrom(0, 0, 0, 0, 0, 2),
  quality: fc.constantFrom(0, 0, 0, 0, 1, 16),
  isFaulty: fc.constantFrom(false, false, false, false, false, true),
});

/** The fixes of one device in fix-time order. */
export const arbitraryDrive: fc.Arbitrary<readonly Fix[]> = fc
  .array(step, { minLength: 1, maxLength: 80 })
  .map((steps) => {
    let atMs = 0;
    let [east, north] = [-30, 0];
    return steps.map(({ afterMs, eastSteps, northSteps, speedKmh, ...more }) => {
      atMs += afterMs;
      east += eastSteps * 10;
      north += northSteps * 10;
      return makeFix(atMs / 1000, [east, north], speedKmh, more);
    });
  });

/** The order in which fixes arrive: by their place, most of them late by little, some by much, and some again. */
export const arbitraryArrivals: fc.Arbitrary<readonly Fix[]> = arbitraryDrive.chain((drive) =>
  fc
    .tuple(
      fc.array(
        fc.oneof(
          { weight: 4, arbitrary: fc.double({ min: 0, max: 3, noNaN: true }) },
          fc.double({ min: 0, max: 100, noNaN: true }),
        ),
        {
          minLength: drive.length,
          maxLength: drive.length,
        },
      ),
      fc.subarray([...drive]),
    )
    .map(([delays, again]) =>
      [
        ...drive.map((fix, at) => ({ fix, at: at + (delays[at] ?? 0) })),
        ...again.map((fix, at) => ({ fix, at: at * 2 })),
      ]
        .toSorted((a, b) => a.at - b.at)
        .map(({ fix }) => fix),
    ),
);
