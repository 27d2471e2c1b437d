import { describe, expect, test } from 'vitest';
import { GeometryError } from '../src/geometry-error.ts';
import { prepareLine } from '../src/line.ts';
import { advanceProgress, anywhereOnLine, atLineStart } from '../src/progress.ts';
import { at, drive, follow, line } from './support/lines.ts';

/** Up 1 km, across 12 m, and down again, six times. */
const hairpins = line(
  [0, 1, 2, 3, 4, 5].flatMap((leg) =>
    leg % 2 === 0 ? [at(leg * 12, 0), at(leg * 12, 1000)] : [at(leg * 12, 1000), at(leg * 12, 0)],
  ),
);
/** Three rounds of a square of 500 m. */
const loops = line([0, 1, 2].flatMap(() => [at(0, 0), at(500, 0), at(500, 500), at(0, 500)]));

describe('progress along a line', () => {
  test.each([
    ['hairpins, exact fixes', hairpins, 30, 0, 1],
    ['hairpins, fixes off by 2 m', hairpins, 30, 2, 10],
    ['loops, exact fixes', loops, 30, 0, 1],
    ['loops, fixes off by 3 m', loops, 30, 3, 12],
  ])('%s: is never on another leg, and never behind', (_, on, stepM, errorM, toleranceM) => {
    const followed = follow(on, stepM, errorM);
    const steps = drive(
      on,
      atLineStart,
      followed.map(({ fix }) => fix),
    );
    for (const [index, { progressM, isOnTrack }] of steps.entries()) {
      expect(isOnTrack).toBe(true);
      expect(Math.abs(progressM - (followed[index]?.alongM ?? Number.NaN))).toBeLessThan(toleranceM);
      expect(progressM).toBeGreaterThanOrEqual(steps[index - 1]?.progressM ?? 0);
    }
  });

  test('off the track beyond 100 m, with the distance to the whole line, and on it again where it left', () => {
    const straight = line([at(0, 0), at(0, 3000)]);
    const steps = drive(straight, atLineStart, [
      at(0, 0),
      at(0, 50),
      at(99.9, 100),
      at(100.1, 100),
      at(300, 200),
      at(50, 250),
    ]);
    expect(steps.map(({ isOnTrack }) => isOnTrack)).toEqual([true, true, true, false, false, true]);
    expect(steps.map(({ distanceM: metres }) => Math.round(metres * 10) / 10)).toEqual([
      0, 0, 99.9, 100.1, 300, 50,
    ]);
    expect(steps.map(({ progressM }) => Math.round(progressM))).toEqual([0, 50, 100, 100, 100, 250]);
  });

  test('a shortcut is off the track until the distance travelled explains it', () => {
    // 5 km up and 5 km down, 600 m apart: after 1 km across to the other leg.
    const long = line([at(0, 0), at(0, 5000), at(600, 5000), at(600, 0)]);
    const cut = [at(0, 900), ...[1, 2, 3, 4, 5, 6].map((hundreds) => at(hundreds * 100, 1000))];
    const approach = follow(long, 30, 0, 880).map(({ fix }) => fix);
    const steps = drive(long, atLineStart, [...approach, ...cut, at(600, 900), at(600, 0)]);
    const last = steps.at(-1);
    expect(last).toMatchObject({ isOnTrack: false, distanceM: expect.closeTo(0, 3) });
    expect(last?.progressM).toBeLessThan(1050);
    const circling = drive(
      long,
      last ?? atLineStart,
      Array.from({ length: 80 }, (_, lap) => at(600, lap % 2 === 0 ? 0 : 90)),
    );
    expect(circling.at(-1)).toMatchObject({ isOnTrack: true, alongM: expect.closeTo(10_510, -1) });
  });

  test('going back takes nothing away, and is followed', () => {
    const straight = line([at(0, 0), at(0, 3000)]);
    const steps = drive(straight, atLineStart, [at(0, 0), at(0, 400), at(0, 100), at(0, 300), at(0, 500)]);
    expect(steps.map(({ progressM }) => Math.round(progressM))).toEqual([0, 400, 400, 400, 500]);
    expect(steps.map(({ alongM }) => Math.round(alongM))).toEqual([0, 400, 100, 300, 500]);
  });

  test('a device that appears in the middle is where its first fix is', () => {
    expect(advanceProgress(hairpins, anywhereOnLine, at(0, 700), 0)).toMatchObject({
      isOnTrack: true,
      progressM: expect.closeTo(700, 1),
    });
    const far = advanceProgress(hairpins, anywhereOnLine, at(-500, 700), 0);
    expect(far).toMatchObject({ isOnTrack: false, progressM: 0, distanceM: expect.closeTo(500, 0) });
    expect(advanceProgress(hairpins, far, at(0, 200), 0)).toMatchObject({
      progressM: expect.closeTo(200, 1),
    });
  });

  test('across the antimeridian', () => {
    const fiji = line([
      { latitude: -17, longitude: 179.99 },
      { latitude: -17, longitude: -179.99 },
    ]);
    expect(fiji.lengthM).toBeCloseTo(2129.5, 0);
    const places = [179.99, 179.995, 180, -180, -179.995, -179.99].map((longitude) => ({
      latitude: -17,
      longitude,
    }));
    const shares = drive(fiji, atLineStart, places).map(({ progressM }) => progressM / fiji.lengthM);
    for (const [index, share] of [0, 0.25, 0.5, 0.5, 0.75, 1].entries())
      expect(shares[index]).toBeCloseTo(share, 6);
  });
});

test.each([
  ['one point', [[11, 48]], 'A line needs at least 2 different points; this one has 1.'],
  [
    'one place twice',
    [
      [11, 48],
      [11, 48],
    ],
    'A line needs at least 2 different points; this one has 1.',
  ],
  ['none', [], 'A line needs at least 2 different points; this one has 0.'],
  [
    'a swapped coordinate',
    [
      [11, 48],
      [48, 191],
    ],
    'Point 2 of the line has the latitude 191; it must be within -90 and 90 degrees.',
  ],
])('refuses a line with %s', (_, coordinates, message) => {
  expect(prepareLine(coordinates)).toEqual(new GeometryError(message));
});
