import type { GeoPoint } from './geo-point.ts';
import { eccentricity2, primeVerticalRadiusM, radiansPerDegree } from './wgs84.ts';

/** Mean radius in metres: it only turns a chord into an arc, so 0.6 % more or less is 2 cm at 100 km. */
const meanRadiusM = 6_371_008.8;

/**
 * Metres between two points along the ellipsoid: the straight chord through the earth, lengthened to an arc of a sphere.
 * Differs from the geodesic by less than 1 µm at 1 km, 2 cm at 100 km, 15 m at 1,000 km, and 5 % beyond.
 * Defined everywhere, the poles and the antimeridian included.
 */
export function distanceM(from: GeoPoint, to: GeoPoint): number {
  const fromLatitude = from.latitude * radiansPerDegree;
  const toLatitude = to.latitude * radiansPerDegree;
  const fromSin = Math.sin(fromLatitude);
  const toSin = Math.sin(toLatitude);
  const fromN = primeVerticalRadiusM(fromSin);
  const toN = primeVerticalRadiusM(toSin);
  const fromAxisM = fromN * Math.cos(fromLatitude);
  const toAxisM = toN * Math.cos(toLatitude);
  // Half angles: the difference of two cosines would lose the last centimetres.
  const halfTurnSin = Math.sin(((to.longitude - from.longitude) * radiansPerDegree) / 2);
  const radialM = toAxisM - fromAxisM;
  const polarM = (1 - eccentricity2) * (toN * toSin - fromN * fromSin);
  const chordM = Math.sqrt(
    radialM * radialM + polarM * polarM + 4 * fromAxisM * toAxisM * halfTurnSin * halfTurnSin,
  );
  return 2 * meanRadiusM * Math.asin(Math.min(1, chordM / (2 * meanRadiusM)));
}
