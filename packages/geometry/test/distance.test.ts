import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { distanceM } from '../src/distance.ts';
import {
  arbitraryAzimuth,
  arbitraryDistanceM,
  arbitraryGeoPoint,
  geodesicM,
  travel,
} from './support/arbitrary-geo.ts';

test.each([
  ['1 km within 1 µm', 1000, 1e-6],
  ['100 km within 2 cm', 100_000, 0.02],
  ['1,000 km within 15 m', 1_000_000, 15],
])('differs from the geodesic as documented: %s', (_, maxM, errorM) => {
  fc.assert(
    fc.property(arbitraryGeoPoint, arbitraryAzimuth, arbitraryDistanceM(maxM), (from, azimuth, metres) => {
      expect(Math.abs(distanceM(from, travel(from, azimuth, metres)) - metres)).toBeLessThan(errorM);
    }),
    { numRuns: 2000 },
  );
});

test('any two points: within 5 % of the geodesic, and the same in both directions', () => {
  fc.assert(
    fc.property(arbitraryGeoPoint, arbitraryGeoPoint, (from, to) => {
      const metres = geodesicM(from, to);
      expect(Math.abs(distanceM(from, to) - metres)).toBeLessThanOrEqual(0.05 * metres + 1e-6);
      expect(distanceM(to, from)).toBeCloseTo(distanceM(from, to), 6);
    }),
    { numRuns: 1000 },
  );
});

test('a point is nowhere else, whichever way its longitude is written', () => {
  expect(distanceM({ latitude: 10, longitude: 180 }, { latitude: 10, longitude: -180 })).toBeCloseTo(0, 8);
  expect(distanceM({ latitude: 90, longitude: 12 }, { latitude: 90, longitude: -77 })).toBeCloseTo(0, 8);
  expect(distanceM({ latitude: -33, longitude: 151 }, { latitude: -33, longitude: 151 })).toBe(0);
});

test('115 km/h for 5 s in a zone of 110 km/h gain 6.94 m', () => {
  const start = { latitude: 0, longitude: 30 };
  const driven = distanceM(start, travel(start, 90, (115 / 3.6) * 5));
  expect(driven - (110 / 3.6) * 5).toBeCloseTo(6.94, 2);
});
