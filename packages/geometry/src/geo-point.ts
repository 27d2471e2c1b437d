import { GeometryError } from './geometry-error.ts';

/** Degrees, WGS 84, at ellipsoid height 0; -90..90 and -180..180. A position is one. */
export interface GeoPoint {
  readonly latitude: number;
  readonly longitude: number;
}

/** Why a drawn point is none, or undefined. `what` begins the sentence: "The left post". Fixes are checked by their decoder. */
export function findPointError(what: string, { latitude, longitude }: GeoPoint): GeometryError | undefined {
  if (!Number.isFinite(latitude) || Math.abs(latitude) > 90) {
    return new GeometryError(`${what} has the latitude ${latitude}; it must be within -90 and 90 degrees.`);
  }
  if (!Number.isFinite(longitude) || Math.abs(longitude) > 180) {
    return new GeometryError(
      `${what} has the longitude ${longitude}; it must be within -180 and 180 degrees.`,
    );
  }
  return undefined;
}

/** The longitude, moved by whole turns (for input in -180..180: at most one) so that it is within 180° of `nearDeg`. */
export function unwrapLongitude(longitude: number, nearDeg: number): number {
  const offsetDeg = longitude - nearDeg;
  if (offsetDeg > 180) return longitude - 360;
  return offsetDeg < -180 ? longitude + 360 : longitude;
}
