import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GeoPoint } from '../src/geo-point.ts';
import { distanceToEdgeM, findEdgeCrossings } from '../src/polygon-edge.ts';
import { containsPoint } from '../src/polygon.ts';
import { geodesicM, travel } from './support/arbitrary-geo.ts';
import { arbitraryPlace, arbitraryStar, point, polygon, square } from './support/polygons.ts';

test('the distance to the edge is that to the closest of many places on it', () => {
  fc.assert(
    fc.property(arbitraryStar, arbitraryPlace, (corners, at) => {
      const distance = distanceToEdgeM(polygon(corners), at);
      let [leastM, stepM] = [Infinity, 0];
      for (const [index, [ax = 0, ay = 0]] of corners.entries()) {
        const [bx = 0, by = 0] = corners[(index + 1) % corners.length] ?? [];
        stepM = Math.max(stepM, geodesicM(point(ax, ay), point(bx, by)) / 100);
        for (let step = 0; step <= 100; step++) {
          const on = point(ax + ((bx - ax) * step) / 100, ay + ((by - ay) * step) / 100);
          leastM = Math.min(leastM, geodesicM(at, on));
        }
      }
      // The error that is documented, 0.1 m at 1 km, and that of the steps.
      const errorM = 1e-7 * leastM * leastM + 1e-6;
      expect(distance).toBeLessThan(leastM + errorM);
      expect(distance).toBeGreaterThan(leastM - stepM / 2 - errorM);
    }),
    { numRuns: 200 },
  );
});

test('metres and degrees agree: a point 25 m outside an edge', () => {
  expect(distanceToEdgeM(square, travel(point(11.01, 48.005), 90, 25))).toBeCloseTo(25, 3);
  expect(distanceToEdgeM(square, travel(point(11, 48), 225, 25))).toBeCloseTo(25, 3);
  expect(distanceToEdgeM(square, travel(point(11.005, 48.006), 180, 25))).toBeCloseTo(25, 3);
});

function listCrossings(from: GeoPoint, to: GeoPoint) {
  return findEdgeCrossings(square, from, to).map(({ kind, fraction }) => [
    kind,
    Math.round(fraction * 1e6) / 1e6,
  ]);
}

describe('entries and exits', () => {
  test.each([
    ['into it', [10.998, 48.002, 11.002, 48.002], [['entry', 0.5]]],
    ['out of it', [11.008, 48.002, 11.016, 48.002], [['exit', 0.25]]],
    [
      'through it between two fixes',
      [10.995, 48.002, 11.015, 48.002],
      [
        ['entry', 0.25],
        ['exit', 0.75],
      ],
    ],
    [
      'through the hole',
      [11, 48.005, 11.01, 48.005],
      [
        ['exit', 0.4],
        ['entry', 0.6],
      ],
    ],
    [
      'through all',
      [10.995, 48.005, 11.015, 48.005],
      [
        ['entry', 0.25],
        ['exit', 0.45],
        ['entry', 0.55],
        ['exit', 0.75],
      ],
    ],
    [
      'through two opposite vertices',
      [10.99, 47.99, 11.02, 48.02],
      [
        ['entry', 0.333333],
        ['exit', 0.466667],
        ['entry', 0.533333],
        ['exit', 0.666667],
      ],
    ],
    ['past a vertex, touching it', [10.99, 48.01, 11.01, 47.99], []],
    ['inside', [11.001, 48.001, 11.002, 48.002], []],
    ['along the southern edge', [11.002, 48, 11.008, 48], []],
    [
      'along the southern edge, from outside to outside',
      [10.995, 48, 11.015, 48],
      [
        ['entry', 0.25],
        ['exit', 0.75],
      ],
    ],
    ['onto the edge', [10.998, 48.002, 11, 48.002], [['entry', 1]]],
    ['from the edge to the inside', [11, 48.002, 11.002, 48.002], []],
    ['from the edge to the outside', [11, 48.002, 10.998, 48.002], [['exit', 0]]],
    ['far away', [12, 48.002, 12.002, 48.002], []],
    ['around the earth', [-100, 48.005, 170, 48.005], []],
    ['standing inside', [11.002, 48.002, 11.002, 48.002], []],
  ] as const)('%s', (_, [fromX, fromY, toX, toY], expected) => {
    expect(listCrossings(point(fromX, fromY), point(toX, toY))).toEqual(expected);
  });

  test('alternate over any track and agree with the membership of every fix', () => {
    // A lattice on the square's own coordinates: tracks along edges and through vertices are frequent.
    const coordinate = fc.constantFrom(-0.002, 0, 0.002, 0.004, 0.005, 0.006, 0.01, 0.012);
    const fix = fc.tuple(coordinate, coordinate).map(([x, y]) => point(11 + x, 48 + y));
    fc.assert(
      fc.property(fc.array(fix, { minLength: 2, maxLength: 20 }), (track) => {
        let inside = track[0] !== undefined && containsPoint(square, track[0]);
        for (const [index, to] of track.slice(1).entries()) {
          let last = 0;
          for (const { kind, fraction } of findEdgeCrossings(square, track[index] ?? to, to)) {
            expect(kind).toBe(inside ? 'exit' : 'entry');
            expect(fraction).toBeGreaterThanOrEqual(last);
            expect(fraction).toBeLessThanOrEqual(1);
            inside = !inside;
            last = fraction;
          }
          expect(inside).toBe(containsPoint(square, to));
        }
      }),
      { numRuns: 500 },
    );
  });
});
