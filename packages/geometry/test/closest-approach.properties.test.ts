import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { approachTarget, prepareTarget, type Target } from '../src/closest-approach.ts';
import type { GeoPoint } from '../src/geo-point.ts';
import { GeometryError } from '../src/geometry-error.ts';
import { arbitraryAzimuth, arbitraryGeoPoint, geodesicM, travel } from './support/arbitrary-geo.ts';
import { uniform } from './support/uniform.ts';

function target(point: GeoPoint, reachM: number): Target {
  const prepared = prepareTarget(point, reachM);
  if (prepared instanceof GeometryError) throw new Error(prepared.message);
  return prepared;
}

test('anywhere on earth the approach is the least distance of the movement, and missing only beyond the reach', () => {
  const offset = uniform(0, 8000);
  const reach = uniform(1, 5000);
  fc.assert(
    fc.property(
      arbitraryGeoPoint,
      reach,
      arbitraryAzimuth,
      offset,
      arbitraryAzimuth,
      offset,
      (point, reachM, fromAzimuth, fromM, toAzimuth, lengthM) => {
        const from = travel(point, fromAzimuth, fromM);
        const to = travel(from, toAzimuth, lengthM);
        const approach = approachTarget(target(point, reachM), from, to);
        let leastM = Infinity;
        for (let step = 0; step <= 64; step++) {
          leastM = Math.min(leastM, geodesicM(point, travel(from, toAzimuth, (lengthM * step) / 64)));
        }
        if (!approach) {
          expect(leastM).toBeGreaterThan(reachM - 0.01);
          return;
        }
        // One of 64 places is within a 128th of the length of the closest.
        expect(approach.distanceM).toBeLessThan(leastM + 0.01);
        expect(approach.distanceM).toBeGreaterThan(leastM - lengthM / 128 - 0.01);
        const there = travel(from, toAzimuth, lengthM * approach.fraction);
        expect(Math.abs(geodesicM(point, there) - approach.distanceM)).toBeLessThan(0.02);
      },
    ),
    { numRuns: 500 },
  );
});
