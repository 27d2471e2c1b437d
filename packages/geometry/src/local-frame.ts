import type { GeoPoint } from './geo-point.ts';
import { eccentricity2, primeVerticalRadiusM, radiansPerDegree } from './wgs84.ts';

/** The plane that touches WGS 84 at a point, with its axes east and north. At a pole the longitude gives the axes. */
export interface LocalFrame {
  readonly longitude: number;
  readonly sinLatitude: number;
  readonly cosLatitude: number;
  /** The origin's distance from the earth's axis, and its height over the equator's plane. */
  readonly axisM: number;
  readonly polarM: number;
}

/** Metres. `upM` is 0 at the origin and negative elsewhere, by d²/2R: -78 m at 32 km, -78 km at 1,000 km. */
export interface LocalPoint {
  readonly eastM: number;
  readonly northM: number;
  readonly upM: number;
}

export function prepareFrame(origin: GeoPoint): LocalFrame {
  const sinLatitude = Math.sin(origin.latitude * radiansPerDegree);
  const cosLatitude = Math.cos(origin.latitude * radiansPerDegree);
  const radiusM = primeVerticalRadiusM(sinLatitude);
  return {
    longitude: origin.longitude,
    sinLatitude,
    cosLatitude,
    axisM: radiusM * cosLatitude,
    polarM: radiusM * (1 - eccentricity2) * sinLatitude,
  };
}

/**
 * A point in the frame: geodetic to earth-centred to east, north and up, which is exact (rounding is about 1 nm). Leaving
 * out `upM` is the orthographic projection: a distance d from the origin appears shorter by d³/6R², which is less than
 * 5 µm at 1 km, 5 mm at 10 km and 5 m at 100 km. Geodesics through the origin are straight; those that pass it at h metres
 * deviate by h·d²/2R². Beyond a quarter of the earth two points share a place: look at `upM`.
 */
export function toLocal(frame: LocalFrame, point: GeoPoint): LocalPoint {
  const latitude = point.latitude * radiansPerDegree;
  const sinLatitude = Math.sin(latitude);
  const radiusM = primeVerticalRadiusM(sinLatitude);
  const axisM = radiusM * Math.cos(latitude);
  const turn = (point.longitude - frame.longitude) * radiansPerDegree;
  const halfTurnSin = Math.sin(turn / 2);
  // Towards the origin's meridian. 1 - cos as a half angle keeps nanometres.
  const outwardM = axisM - frame.axisM - 2 * axisM * halfTurnSin * halfTurnSin;
  const polarM = radiusM * (1 - eccentricity2) * sinLatitude - frame.polarM;
  return {
    eastM: axisM * Math.sin(turn),
    northM: frame.cosLatitude * polarM - frame.sinLatitude * outwardM,
    upM: frame.sinLatitude * polarM + frame.cosLatitude * outwardM,
  };
}

/** Beyond 1,000 km from the origin (`upM` there, rounded up): no movement between two fixes, and no part of a course. */
const lowestUpM = -77_000;

export function isNearFrame(point: LocalPoint): boolean {
  return point.upM > lowestUpM;
}
