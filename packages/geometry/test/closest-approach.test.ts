import { expect, test } from 'vitest';
import { approachTarget, prepareTarget, type Target } from '../src/closest-approach.ts';
import type { GeoPoint } from '../src/geo-point.ts';
import { GeometryError } from '../src/geometry-error.ts';
import { azimuthBetween, geodesicM, travel } from './support/arbitrary-geo.ts';

function target(point: GeoPoint, reachM: number): Target {
  const prepared = prepareTarget(point, reachM);
  if (prepared instanceof GeometryError) throw new Error(prepared.message);
  return prepared;
}

const waypoint = { latitude: 48, longitude: 11 };
const at = (eastM: number, northM: number) => travel(travel(waypoint, 90, eastM), 0, northM);

const rounded = (value: number) => Math.round(value * 1e4) / 1e4;

test.each([
  ['passing at 30 m, where neither fix is within 50 m', at(30, -60), at(30, 60), [30, 0.5]],
  ['passing at 50.01 m', at(50.01, -60), at(50.01, 60), undefined],
  ['passing at 49.99 m', at(49.99, -60), at(49.99, 60), [49.99, 0.5]],
  ['through the point', at(-10, -10), at(30, 30), [0, 0.25]],
  ['ending before it', at(0, -100), at(0, -20), [20, 1]],
  ['leaving from it', waypoint, at(0, 100), [0, 0]],
  ['standing beside it', at(3, 4), at(3, 4), [5, 0]],
])('a waypoint of 50 m: %s', (_, from, to, expected) => {
  const approach = approachTarget(target(waypoint, 50), from, to);
  expect(approach && [rounded(approach.distanceM), rounded(approach.fraction)]).toEqual(expected);
});

test('a long movement along a parallel is closest where the straight line leaves the parallel', () => {
  const [from, to] = [
    { latitude: 48, longitude: 11 },
    { latitude: 48, longitude: 11.0999 },
  ];
  const middle = travel(from, azimuthBetween(from, to), geodesicM(from, to) / 2);
  expect(geodesicM(middle, { ...middle, latitude: 48 })).toBeGreaterThan(1);
  const approach = approachTarget(target(middle, 0.1), from, to);
  expect(approach && [rounded(approach.distanceM), rounded(approach.fraction)]).toEqual([0, 0.5]);
});

test('a jump around the earth approaches nothing', () => {
  const far = { latitude: -48, longitude: -169 };
  expect(approachTarget(target(waypoint, 50), far, waypoint)).toBeUndefined();
});

test.each([
  [0, 'The radius is 0 m; it must be more than 0 m and at most 10000 m.'],
  [10_001, 'The radius is 10001 m; it must be more than 0 m and at most 10000 m.'],
  [Number.NaN, 'The radius is NaN m; it must be more than 0 m and at most 10000 m.'],
])('refuses a radius of %s m', (reachM, message) => {
  expect(prepareTarget(waypoint, reachM)).toEqual(new GeometryError(message));
});

test('refuses a point off the globe', () => {
  expect(prepareTarget({ latitude: 48, longitude: 181 }, 50)).toEqual(
    new GeometryError('The point has the longitude 181; it must be within -180 and 180 degrees.'),
  );
});
