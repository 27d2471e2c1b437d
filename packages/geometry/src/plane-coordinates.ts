import { findPointError, unwrapLongitude } from './geo-point.ts';
import { GeometryError } from './geometry-error.ts';
import { meridianRadiusM, primeVerticalRadiusM, radiansPerDegree } from './wgs84.ts';

/** A GeoJSON position: longitude and latitude in degrees; more members are ignored. */
export type GeoJsonPosition = readonly number[];

/**
 * The vertices of a shape in degrees, as x (longitude, unwrapped around `midLongitude`, so beyond ±180 at the antimeridian) and
 * y (latitude). GeoJSON's lines are straight in these (RFC 7946, 3.1.1), which leaves sides of points exact.
 */
export interface PlaneCoordinates {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly midLongitude: number;
}

/** Closer to a pole a degree of longitude changes its length too fast, and shapes around it cannot be drawn. */
const maxLatitude = 89;

/** Reads positions and drops repeated ones. `what` begins the sentence of an error: "The line". */
export function readCoordinates(
  what: string,
  positions: readonly GeoJsonPosition[],
  nearLongitude?: number,
): PlaneCoordinates | GeometryError {
  const x: number[] = [];
  const y: number[] = [];
  const around = nearLongitude ?? positions[0]?.[0] ?? 0;
  for (const [index, position] of positions.entries()) {
    const [longitude = Number.NaN, latitude = Number.NaN] = position;
    const error = findPointError(`Point ${index + 1} of ${what}`, { latitude, longitude });
    if (error) return error;
    if (Math.abs(latitude) > maxLatitude) {
      return new GeometryError(
        `Point ${index + 1} of ${what} has the latitude ${latitude}; shapes can reach to ${maxLatitude} degrees.`,
      );
    }
    const unwrapped = unwrapLongitude(longitude, around);
    if (unwrapped === x.at(-1) && latitude === y.at(-1)) continue;
    x.push(unwrapped);
    y.push(latitude);
  }
  const [min, max] = [
    x.reduce((a, b) => Math.min(a, b), Infinity),
    x.reduce((a, b) => Math.max(a, b), -Infinity),
  ];
  return { x: Float64Array.from(x), y: Float64Array.from(y), midLongitude: (min + max) / 2 };
}

/** Metres per degree of latitude at a latitude. */
export function metresPerDegreeNorth(latitude: number): number {
  return meridianRadiusM(Math.sin(latitude * radiansPerDegree)) * radiansPerDegree;
}

/** Metres per degree of longitude at a latitude. */
export function metresPerDegreeEast(latitude: number): number {
  const radians = latitude * radiansPerDegree;
  return primeVerticalRadiusM(Math.sin(radians)) * Math.cos(radians) * radiansPerDegree;
}
