import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mayTouch, prepareBox } from '../src/near-box.ts';
import { arbitraryAzimuth, arbitraryDistanceM, arbitraryGeoPoint, travel } from './support/arbitrary-geo.ts';
import { uniform } from './support/uniform.ts';

const metres = (max: number) => uniform(0, max);

test('no movement that passes within the margin is rejected, whatever its length and place', () => {
  fc.assert(
    fc.property(
      arbitraryGeoPoint,
      metres(5000),
      arbitraryAzimuth,
      arbitraryAzimuth,
      arbitraryDistanceM(200_000),
      arbitraryDistanceM(20_000),
      (point, marginM, azimuth, course, beforeM, behindM) => {
        const place = travel(point, azimuth, marginM);
        const [from, to] = [travel(place, course, -beforeM), travel(place, course, behindM)];
        expect(mayTouch(prepareBox([point], marginM), from, to)).toBe(true);
      },
    ),
    { numRuns: 5000 },
  );
});

test.each([
  ['north', 0],
  ['east', 90],
  ['south', 180],
  ['west', 270],
])('movements of 100 m that are 100 m outside to the %s are rejected', (_, azimuth) => {
  const anyPlace = arbitraryGeoPoint.filter(({ latitude }) => Math.abs(latitude) < 88);
  fc.assert(
    fc.property(anyPlace, arbitraryAzimuth, metres(1000), (point, course, marginM) => {
      const from = travel(point, azimuth, marginM * 1.02 + 210);
      expect(mayTouch(prepareBox([point], marginM), from, travel(from, course, 100))).toBe(false);
    }),
  );
});
