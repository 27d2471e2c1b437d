import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashBbox, isInside } from '../../src/fanout/bbox.ts';

const longitude = fc.double({ min: -180, max: 180, noNaN: true });
const latitude = fc.double({ min: -90, max: 90, noNaN: true });

test.each([
  ['a place within', [5, 40, 10, 50], 45, 7, true],
  ['its corner', [5, 40, 10, 50], 40, 5, true],
  ['a place east of it', [5, 40, 10, 50], 45, 10.1, false],
  ['a place north of it', [5, 40, 10, 50], 50.1, 7, false],
  ['across the antimeridian, the far east', [170, -20, -170, 20], 0, 175, true],
  ['across the antimeridian, the far west', [170, -20, -170, 20], 0, -175, true],
  ['across the antimeridian, the antimeridian itself', [170, -20, -170, 20], 0, -180, true],
  ['across the antimeridian, the other side of the world', [170, -20, -170, 20], 0, 0, false],
  ['across the antimeridian, too far south', [170, -20, -170, 20], -21, 175, false],
] as const)('a box holds or not: %s', (_name, bbox, lat, lon, isHeld) => {
  expect(isInside(bbox, lat, lon)).toBe(isHeld);
});

test('a box and the one that goes round the other way hold the whole belt, and share but their edges', () => {
  fc.assert(
    fc.property(longitude, longitude, latitude, longitude, (west, east, lat, lon) => {
      fc.pre(west !== east);
      const isHeldByOne = isInside([west, -90, east, 90], lat, lon);
      const isHeldByOther = isInside([east, -90, west, 90], lat, lon);
      expect(isHeldByOne || isHeldByOther).toBe(true);
      const isOnAnEdge = lon === west || lon === east;
      expect(isHeldByOne && isHeldByOther).toBe(isOnAnEdge);
    }),
  );
});

test('equal boxes have one hash, others another, and none has none', () => {
  expect(hashBbox([1, 2, 3, 4])).toBe(hashBbox([1, 2, 3, 4]));
  expect(hashBbox([1, 2, 3, 4])).not.toBe(hashBbox([1, 2, 3, 4.5]));
  expect(hashBbox(undefined)).toBe('');
});
