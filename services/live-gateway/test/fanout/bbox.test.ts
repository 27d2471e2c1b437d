import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashBbox, isInside } from '../../src/fanout/bbox.ts';

const longitude = fc.double({ min: -180, max: 180, noNaN: true });
const latitude = fc.double({ min: -90, max: 90, noNaN: true });

test.each([
  ['inside', [5, 40, 10, 50], 45, 7, true],
  ['on a corner', [5, 40, 10, 50], 40, 5, true],
  ['east of it', [5, 40, 10, 50], 45, 10.1, false],
  ['north of it', [5, 40, 10, 50], 50.1, 7, false],
  ['across the antimeridian, on its west side', [170, -20, -170, 20], 0, 175, true],
  ['across the antimeridian, on its east side', [170, -20, -170, 20], 0, -175, true],
  ['across the antimeridian, on the antimeridian', [170, -20, -170, 20], 0, -180, true],
  ['across the antimeridian, on the prime meridian', [170, -20, -170, 20], 0, 0, false],
  ['across the antimeridian, too far south', [170, -20, -170, 20], -21, 175, false],
] as const)('a point is inside or outside of a box: %s', (_name, bbox, lat, lon, expected) => {
  expect(isInside(bbox, lat, lon)).toBe(expected);
});

test('a box and its complement cover all longitudes and share only their edges', () => {
  fc.assert(
    fc.property(longitude, longitude, latitude, longitude, (west, east, lat, lon) => {
      fc.pre(west !== east);
      const isInBox = isInside([west, -90, east, 90], lat, lon);
      const isInComplement = isInside([east, -90, west, 90], lat, lon);
      expect(isInBox || isInComplement).toBe(true);
      expect(isInBox && isInComplement).toBe(lon === west || lon === east);
    }),
  );
});

test('equal boxes have equal hashes, different ones different hashes, and no box has an empty hash', () => {
  expect(hashBbox([1, 2, 3, 4])).toBe(hashBbox([1, 2, 3, 4]));
  expect(hashBbox([1, 2, 3, 4])).not.toBe(hashBbox([1, 2, 3, 4.5]));
  expect(hashBbox(undefined)).toBe('');
});
