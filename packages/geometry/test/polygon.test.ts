import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { distanceToEdgeM } from '../src/polygon-edge.ts';
import { containsPoint } from '../src/polygon.ts';
import { arbitraryPlace, arbitraryStar, point, polygon, ring, square } from './support/polygons.ts';
import { uniform } from './support/uniform.ts';

/** Degrees as a whole number of 2^-62 degrees, which is exact. */
const exact = (degrees: number) => BigInt(degrees * 2 ** 62);

describe('membership', () => {
  test.each([
    ['the middle of the left half', 11.002, 48.005, true],
    ['a vertex', 11, 48, true],
    ['the southern edge', 11.0033, 48, true],
    ['the northern edge', 11.0077, 48.01, true],
    ['the western edge', 11, 48.0031, true],
    ['the eastern edge', 11.01, 48.0031, true],
    ['the next number to the west', 11 - 2 ** -49, 48.0031, false],
    ['the next number to the south', 11.0033, 48 - 2 ** -47, false],
    ['west, at the latitude of two vertices', 10.99, 48.01, false],
    ['east, at the latitude of two vertices', 11.02, 48, false],
    ['the hole', 11.005, 48.005, false],
    ['the edge of the hole', 11.004, 48.005, true],
    ['a vertex of the hole', 11.006, 48.006, true],
    ['the other side of the earth', -169, 48.005, false],
  ])('%s', (_, longitude, latitude, inside) => {
    expect(containsPoint(square, point(longitude, latitude))).toBe(inside);
  });

  test('across the antimeridian, however its points are written', () => {
    const across = polygon(ring('179.99 -17, -179.99 -17, -179.99 -16.99, 179.99 -16.99'));
    for (const longitude of [179.99, 179.995, 180, -180, -179.995, -179.99]) {
      expect(containsPoint(across, point(longitude, -16.995))).toBe(true);
    }
    for (const longitude of [179.98, -179.98, 0]) {
      expect(containsPoint(across, point(longitude, -16.995))).toBe(false);
    }
    const upTo = polygon(ring('179.99 10, 180 10, 180 10.01, 179.99 10.01'));
    expect(containsPoint(upTo, point(-180, 10.005))).toBe(true);
    expect(distanceToEdgeM(upTo, point(-179.9999, 10.005))).toBeCloseTo(10.96, 2);
  });

  test('beside an edge by the last bit of a coordinate: as whole numbers tell, without a gap between neighbours', () => {
    const [a, b] = [
      [0.1, 0.1],
      [0.7, 0.3],
    ] as const;
    const above = polygon([a, b, [0.3, 0.9]]);
    const below = polygon([b, a, [0.5, -0.9]]);
    fc.assert(
      fc.property(uniform(0.01, 0.99), (share) => {
        const on = point(0.1 + share * 0.6, 0.1 + share * 0.2);
        const [x, y] = [exact(on.longitude) - exact(a[0]), exact(on.latitude) - exact(a[1])];
        const side = (exact(b[0]) - exact(a[0])) * y - (exact(b[1]) - exact(a[1])) * x;
        expect(containsPoint(above, on)).toBe(side >= 0n);
        expect(containsPoint(below, on)).toBe(side <= 0n);
      }),
      { numRuns: 2000 },
    );
  });
});

test('membership is the winding number of the ring around the point', () => {
  fc.assert(
    fc.property(arbitraryStar, arbitraryPlace, (corners, at) => {
      let radians = 0;
      for (const [index, [ax = 0, ay = 0]] of corners.entries()) {
        const [bx = 0, by = 0] = corners[(index + 1) % corners.length] ?? [];
        const [px, py, qx, qy] = [ax - at.longitude, ay - at.latitude, bx - at.longitude, by - at.latitude];
        radians += Math.atan2(px * qy - py * qx, px * qx + py * qy);
      }
      expect(containsPoint(polygon(corners), at)).toBe(Math.abs(radians) > Math.PI);
      expect(containsPoint(polygon(corners.toReversed()), at)).toBe(Math.abs(radians) > Math.PI);
    }),
    { numRuns: 2000 },
  );
});
