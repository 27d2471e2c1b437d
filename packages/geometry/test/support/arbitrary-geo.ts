import * as fc from 'fast-check';
import geodesic from 'geographiclib-geodesic';
import type { GeoPoint } from '../../src/geo-point.ts';
import { uniform } from './uniform.ts';

/** Anywhere, with the poles and the antimeridian often. */
export const arbitraryGeoPoint: fc.Arbitrary<GeoPoint> = fc.record({
  latitude: fc.oneof(
    { weight: 4, arbitrary: uniform(-90, 90) },
    { weight: 1, arbitrary: uniform(89.9, 90) },
    { weight: 1, arbitrary: uniform(-90, -89.9) },
    { weight: 1, arbitrary: fc.constantFrom(-90, 0, 90) },
  ),
  longitude: fc.oneof(
    { weight: 4, arbitrary: uniform(-180, 180) },
    { weight: 1, arbitrary: uniform(179.99, 180) },
    { weight: 1, arbitrary: uniform(-180, -179.99) },
    { weight: 1, arbitrary: fc.constantFrom(-180, 0, 180) },
  ),
});

export const arbitraryAzimuth = uniform(-180, 180);

/** Distances of every magnitude from 1 mm. */
export function arbitraryDistanceM(maxM: number): fc.Arbitrary<number> {
  return uniform(-3, Math.log10(maxM)).map((exponent) => 10 ** exponent);
}

/** The place `metres` from a point along the geodesic with an azimuth (geographiclib: 15 nm). */
export function travel(from: GeoPoint, azimuthDeg: number, metres: number): GeoPoint {
  const { lat2, lon2 } = geodesic.Geodesic.WGS84.Direct(from.latitude, from.longitude, azimuthDeg, metres);
  return { latitude: lat2 ?? Number.NaN, longitude: lon2 ?? Number.NaN };
}

/** The direction of the geodesic from one point to another, at the first. */
export function azimuthBetween(from: GeoPoint, to: GeoPoint): number {
  const { azi1 } = geodesic.Geodesic.WGS84.Inverse(from.latitude, from.longitude, to.latitude, to.longitude);
  return azi1 ?? Number.NaN;
}

/** Metres along the geodesic between two points (geographiclib: 15 nm). */
export function geodesicM(from: GeoPoint, to: GeoPoint): number {
  const { s12 } = geodesic.Geodesic.WGS84.Inverse(from.latitude, from.longitude, to.latitude, to.longitude);
  return s12 ?? Number.NaN;
}
