import { unwrapLongitude, type GeoPoint } from './geo-point.ts';
import { GeometryError } from './geometry-error.ts';
import { prepareBox, type NearBox } from './near-box.ts';
import { readCoordinates, type GeoJsonPosition } from './plane-coordinates.ts';
import { findRingError, findRingsError } from './polygon-validity.ts';
import { locateInRing, type Ring } from './ring.ts';

/** A polygon whose rings are valid and do not touch. The outer ring comes first, its holes follow. */
export interface Polygon {
  readonly box: NearBox;
  readonly midLongitude: number;
  readonly rings: readonly Ring[];
}

/**
 * A polygon from the `coordinates` of a GeoJSON Polygon: the outer ring, then holes, in either direction; the closing point
 * may be missing. One that crosses the antimeridian is drawn across it (179, -179), not split. Refused with the first error:
 * fewer than three points, no area, a ring that touches or crosses itself or another, a hole outside.
 */
export function preparePolygon(
  coordinates: readonly (readonly GeoJsonPosition[])[],
): Polygon | GeometryError {
  const rings: Ring[] = [];
  let midLongitude: number | undefined;
  for (const [index, positions] of coordinates.entries()) {
    const name = index === 0 ? 'the outer ring' : `hole ${index}`;
    const read = readCoordinates(name, positions, midLongitude);
    if (read instanceof GeometryError) return read;
    midLongitude ??= read.midLongitude;
    const ring = closeRing(read);
    const error = findRingError(name, ring);
    if (error) return error;
    rings.push(ring);
  }
  const [outer] = rings;
  if (!outer || midLongitude === undefined) return new GeometryError('The polygon has no ring.');
  const error = findRingsError(rings);
  if (error) return error;
  const corners: GeoPoint[] = [];
  for (const [index, longitude] of outer.x.entries()) {
    corners.push({ longitude, latitude: outer.y[index] ?? Number.NaN });
  }
  return { box: prepareBox(corners, 0), midLongitude, rings };
}

function closeRing({ x, y }: Ring): Ring {
  const isClosed = x.length > 1 && x[0] === x.at(-1) && y[0] === y.at(-1);
  if (isClosed || x.length === 0) return { x, y };
  return { x: Float64Array.of(...x, x[0] ?? 0), y: Float64Array.of(...y, y[0] ?? 0) };
}

/**
 * Whether a point is inside; a boundary, a hole's included, is inside. Exact for the coordinates as they are: no rounding,
 * and a point between two vertices of one latitude is on the boundary (RFC 7946: lines are straight in degrees).
 */
export function containsPoint(polygon: Polygon, point: GeoPoint): boolean {
  const { box } = polygon;
  const { latitude } = point;
  if (latitude < box.minLatitude || latitude > box.maxLatitude) return false;
  return containsPlanePoint(polygon, unwrapLongitude(point.longitude, polygon.midLongitude), latitude);
}

/** The same in the polygon's plane. */
export function containsPlanePoint({ rings }: Polygon, px: number, py: number): boolean {
  for (let index = 0; index < rings.length; index++) {
    const ring = rings[index];
    if (!ring) break;
    const side = locateInRing(ring, px, py);
    if (side === 0) return true;
    if (index === 0 ? side < 0 : side > 0) return false;
  }
  return true;
}
