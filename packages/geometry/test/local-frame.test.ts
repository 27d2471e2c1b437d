import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isNearFrame, prepareFrame, toLocal } from '../src/local-frame.ts';
import { arbitraryAzimuth, arbitraryDistanceM, arbitraryGeoPoint, travel } from './support/arbitrary-geo.ts';

test.each([
  ['5 µm at 1 km', 1000, 5e-6],
  ['5 mm at 10 km', 10_000, 5e-3],
  ['5 m at 100 km', 100_000, 5],
])('a distance from the origin is short of the geodesic by less than %s', (_, maxM, errorM) => {
  fc.assert(
    fc.property(arbitraryGeoPoint, arbitraryAzimuth, arbitraryDistanceM(maxM), (origin, azimuth, metres) => {
      const { eastM, northM } = toLocal(prepareFrame(origin), travel(origin, azimuth, metres));
      expect(Math.abs(Math.hypot(eastM, northM) - metres)).toBeLessThan(errorM);
    }),
    { numRuns: 2000 },
  );
});

test('the axes point east and north', () => {
  fc.assert(
    fc.property(arbitraryGeoPoint, arbitraryAzimuth, (origin, azimuth) => {
      // At the pole itself every direction is south, and an azimuth counts from the origin's meridian.
      const local = toLocal(prepareFrame(origin), travel(origin, azimuth, 100));
      const radians = (azimuth * Math.PI) / 180;
      expect(local.eastM).toBeCloseTo(100 * Math.sin(radians), 4);
      expect(local.northM).toBeCloseTo(100 * Math.cos(radians), 4);
    }),
  );
});

test('two points anywhere: no NaN, and far ones are not near', () => {
  fc.assert(
    fc.property(arbitraryGeoPoint, arbitraryGeoPoint, (origin, point) => {
      const { eastM, northM, upM } = toLocal(prepareFrame(origin), point);
      expect(Number.isFinite(eastM + northM + upM)).toBe(true);
    }),
  );
  const munich = prepareFrame({ latitude: 48, longitude: 11 });
  expect(isNearFrame(toLocal(munich, { latitude: 53, longitude: 11 }))).toBe(true);
  expect(isNearFrame(toLocal(munich, { latitude: 58, longitude: 11 }))).toBe(false);
  expect(isNearFrame(toLocal(munich, { latitude: -48, longitude: -169 }))).toBe(false);
});

test('the origin is 0/0/0', () => {
  fc.assert(
    fc.property(arbitraryGeoPoint, (origin) => {
      const { eastM, northM, upM } = toLocal(prepareFrame(origin), origin);
      expect([Math.abs(eastM), Math.abs(northM), Math.abs(upM)]).toEqual([0, 0, 0]);
    }),
  );
});
