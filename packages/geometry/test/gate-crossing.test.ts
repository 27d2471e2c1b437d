import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timeCrossing } from '../src/crossing-time.ts';
import { crossGate, prepareGate, type Gate } from '../src/gate-crossing.ts';
import type { GeoPoint } from '../src/geo-point.ts';
import { GeometryError } from '../src/geometry-error.ts';
import { arbitraryAzimuth, arbitraryGeoPoint, azimuthBetween, travel } from './support/arbitrary-geo.ts';
import { uniform } from './support/uniform.ts';

function gate(left: GeoPoint, right: GeoPoint): Gate {
  const prepared = prepareGate(left, right);
  if (prepared instanceof GeometryError) throw new Error(prepared.message);
  return prepared;
}

/** A gate of 20 m, looking north, in which a degree of latitude is a degree of latitude. */
const leftPost = { latitude: 48, longitude: 11 };
const rightPost = travel(leftPost, 90, 20);
const north = gate(leftPost, rightPost);
/** So many metres to the right of the left post, and past the gate. */
const at = (rightM: number, pastM: number) => travel(travel(leftPost, 90, rightM), 0, pastM);

describe('golden crossings of a gate of 20 m', () => {
  test('forward in the middle of a movement', () => {
    expect(crossGate(north, at(10, -15), at(10, 15))).toEqual({
      direction: 'forward',
      fraction: expect.closeTo(0.5, 6),
      lengthM: expect.closeTo(30, 4),
      acrossM: expect.closeTo(30, 4),
    });
  });

  test('backward, at a third', () => {
    expect(crossGate(north, at(10, 10), at(10, -20))).toMatchObject({
      direction: 'backward',
      fraction: expect.closeTo(1 / 3, 6),
    });
  });

  test('at 60° to the right angle', () => {
    const crossing = crossGate(north, at(10 - 10 * Math.sqrt(3), -10), at(10 + 10 * Math.sqrt(3), 10));
    expect(crossing).toMatchObject({ lengthM: expect.closeTo(40, 3), acrossM: expect.closeTo(20, 3) });
  });

  test.each([
    ['1 mm inside the left post', 0.001, true],
    ['1 mm outside the left post', -0.001, false],
    ['1 mm inside the right post', 19.999, true],
    ['1 mm outside the right post', 20.001, false],
  ])('%s', (_, rightM, crosses) => {
    expect(crossGate(north, at(rightM, -15), at(rightM, 15)) !== undefined).toBe(crosses);
  });

  test.each([
    ['left', leftPost],
    ['right', rightPost],
  ])(
    'a vertex exactly on the %s post counts once if the track goes on, and twice or never if it turns',
    (_, post) => {
      const [before, behind] = [at(10, -15), at(10, 15)];
      expect(crossGate(north, before, post)).toMatchObject({ direction: 'forward', fraction: 1 });
      expect(crossGate(north, post, behind)).toBeUndefined();
      expect(crossGate(north, behind, post)).toBeUndefined();
      expect(crossGate(north, post, before)).toMatchObject({ direction: 'backward', fraction: 0 });
    },
  );

  test('standing, on the gate or beside it, crosses nothing', () => {
    expect(crossGate(north, leftPost, leftPost)).toBeUndefined();
    expect(crossGate(north, leftPost, rightPost)).toBeUndefined();
    expect(crossGate(north, at(10, -1), at(10, -1))).toBeUndefined();
  });

  test('after a gap of 200 km the crossing is within 1 m of the geodesic', () => {
    const [from, to] = [travel(at(10, 0), 180, 100_000), travel(at(10, 0), 0, 100_000)];
    expect(crossGate(north, from, to)).toMatchObject({
      direction: 'forward',
      fraction: expect.closeTo(0.5, 5),
    });
  });

  test('north of both posts, where a gate of 10 km at 85° leaves their parallel', () => {
    const left = { latitude: 85, longitude: 11 };
    const right = travel(left, azimuthBetween(left, { latitude: 85, longitude: 12.02 }), 9900);
    const middle = travel(left, azimuthBetween(left, right), 4950);
    expect(middle.latitude - Math.max(left.latitude, right.latitude)).toBeGreaterThan(15 / 111_000);
    const crossing = crossGate(gate(left, right), travel(middle, 180, 5), travel(middle, 0, 5));
    expect(crossing).toMatchObject({ direction: 'forward', fraction: expect.closeTo(0.5, 3) });
  });

  test('a jump from the other side of the earth crosses nothing', () => {
    expect(crossGate(north, { latitude: -48, longitude: -169 }, at(10, 15))).toBeUndefined();
    expect(
      crossGate(north, { latitude: -89, longitude: 11 }, { latitude: 89, longitude: 11 }),
    ).toBeUndefined();
  });
});

test('anywhere on earth, poles and antimeridian included, a movement through a gate crosses it where it should', () => {
  const share = uniform(0.01, 0.99);
  const metres = uniform(0.5, 2000);
  const width = uniform(2, 2000);
  fc.assert(
    fc.property(
      arbitraryGeoPoint,
      arbitraryAzimuth,
      width,
      share,
      uniform(-160, -20),
      metres,
      metres,
      (left, azimuth, widthM, gateShare, turnDeg, beforeM, behindM) => {
        // At a pole the azimuth says nothing; a millimetre off it does.
        fc.pre(Math.abs(left.latitude) < 90 - 1e-8);
        const right = travel(left, azimuth, widthM);
        const place = travel(left, azimuth, widthM * gateShare);
        const alongGate = azimuthBetween(place, right);
        const from = travel(place, alongGate + turnDeg + 180, beforeM);
        const to = travel(place, alongGate + turnDeg, behindM);
        const prepared = gate(left, right);
        const forward = crossGate(prepared, from, to);
        expect(forward?.direction).toBe('forward');
        expect(Math.abs((forward?.fraction ?? 0) * (beforeM + behindM) - beforeM)).toBeLessThan(0.01);
        expect(crossGate(prepared, to, from)?.direction).toBe('backward');
      },
    ),
    { numRuns: 2000 },
  );
});

test('from fixes in degrees to a time: at 110 km/h through a gate, 10.3 s after the first fix', () => {
  const course = 37;
  const mps = 110 / 3.6;
  const start = { latitude: -33.9, longitude: 179.999 };
  const gateAt = travel(start, course, 10.3 * mps);
  const gateCourse = azimuthBetween(gateAt, start) + 180;
  const across = gate(travel(gateAt, gateCourse - 80, 12), travel(gateAt, gateCourse + 100, 12));
  const fixes = Array.from({ length: 21 }, (_, second) => travel(start, course, second * mps));
  const times = fixes.slice(1).flatMap((to, index) => {
    const crossing = crossGate(across, fixes[index] ?? to, to);
    if (!crossing) return [];
    const movement = { fromMs: index * 1000, toMs: (index + 1) * 1000, fromKmh: 110, toKmh: 110, sigmaM: 1 };
    return [timeCrossing({ ...movement, ...crossing }, crossing.fraction, 10_000)];
  });
  expect(times).toEqual([{ confidence: 'interpolated', atMs: 10_300, uncertaintyMs: 86 }]);
});

test('a movement that is surely beside the gate does not cross it', () => {
  const beside = uniform(1, 50_000);
  fc.assert(
    fc.property(beside, fc.boolean(), uniform(1, 5000), (besideM, isLeft, metres) => {
      const rightM = isLeft ? -besideM : 20 + besideM;
      expect(crossGate(north, at(rightM, -metres), at(rightM, metres))).toBeUndefined();
    }),
  );
});

test.each([
  ['one place', leftPost, leftPost, 'The posts are 0.00 m apart; a gate must be at least 1 m wide.'],
  [
    'a swapped coordinate',
    leftPost,
    { latitude: 11, longitude: 48 },
    /^The posts are \d+ m apart; a gate can be at most 10000 m wide.$/,
  ],
  [
    'a latitude of 91',
    { latitude: 91, longitude: 0 },
    rightPost,
    'The left post has the latitude 91; it must be within -90 and 90 degrees.',
  ],
  [
    'a longitude that is none',
    leftPost,
    { latitude: 1, longitude: Number.NaN },
    'The right post has the longitude NaN; it must be within -180 and 180 degrees.',
  ],
])('refuses %s', (_, left, right, message) => {
  const error = prepareGate(left, right);
  expect(error instanceof GeometryError ? error.message : 'accepted').toMatch(message);
});
