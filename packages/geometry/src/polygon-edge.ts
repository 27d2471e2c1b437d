import { orient2d } from 'robust-predicates';
import { unwrapLongitude, type GeoPoint } from './geo-point.ts';
import { mayTouch } from './near-box.ts';
import { metresPerDegreeEast, metresPerDegreeNorth } from './plane-coordinates.ts';
import { containsPlanePoint, type Polygon } from './polygon.ts';
import type { Ring } from './ring.ts';

/**
 * Metres from a point, inside or outside, to the nearest boundary of the polygon. Degrees are scaled as at the point, so the
 * error is about d²·tan(latitude)/2R: 1 mm at 100 m and 0.1 m at 1 km at 50°; at 89° it is 50 times as much.
 */
export function distanceToEdgeM(polygon: Polygon, point: GeoPoint): number {
  const eastM = metresPerDegreeEast(point.latitude);
  const northM = metresPerDegreeNorth(point.latitude);
  const px = unwrapLongitude(point.longitude, polygon.midLongitude);
  let nearest2 = Infinity;
  for (const { x, y } of polygon.rings) {
    let ax = ((x[0] ?? 0) - px) * eastM;
    let ay = ((y[0] ?? 0) - point.latitude) * northM;
    for (let next = 1; next < x.length; next++) {
      const bx = ((x[next] ?? 0) - px) * eastM;
      const by = ((y[next] ?? 0) - point.latitude) * northM;
      const dx = bx - ax;
      const dy = by - ay;
      const share = Math.min(1, Math.max(0, -(ax * dx + ay * dy) / (dx * dx + dy * dy)));
      const nearestX = ax + share * dx;
      const nearestY = ay + share * dy;
      nearest2 = Math.min(nearest2, nearestX * nearestX + nearestY * nearestY);
      ax = bx;
      ay = by;
    }
  }
  return Math.sqrt(nearest2);
}

export interface EdgeCrossing {
  readonly kind: 'entry' | 'exit';
  /** Where on the movement, 0 at `from` to 1 at `to`. */
  readonly fraction: number;
}

const noCrossings: readonly EdgeCrossing[] = [];

/** Closer crossings are one, found on the two edges of a vertex: 1 mm of 1,000 km. */
const sameFraction = 1e-9;

/**
 * Where the straight movement between two consecutive fixes enters and leaves the polygon, in order. Entries and exits
 * alternate, also over a whole track, and agree with `containsPoint` at every fix: from outside to a fix on the boundary is an
 * entry at 1, from there to the outside an exit at 0. Touching a vertex from outside in passing is neither.
 */
export function findEdgeCrossings(polygon: Polygon, from: GeoPoint, to: GeoPoint): readonly EdgeCrossing[] {
  return mayTouch(polygon.box, from, to) ? findNearCrossings(polygon, from, to) : noCrossings;
}

function findNearCrossings(polygon: Polygon, from: GeoPoint, to: GeoPoint): readonly EdgeCrossing[] {
  const px = unwrapLongitude(from.longitude, polygon.midLongitude);
  const qx = unwrapLongitude(to.longitude, polygon.midLongitude);
  // The short way between the fixes is around the other side of the earth.
  if (Math.abs(qx - px) > 180) return noCrossings;
  const fractions: number[] = [];
  for (const ring of polygon.rings) findContacts(ring, px, from.latitude, qx, to.latitude, fractions);
  if (fractions.length === 0) return noCrossings;
  fractions.sort((a, b) => a - b);
  fractions.push(1);

  const crossings: EdgeCrossing[] = [];
  let isInside = containsPlanePoint(polygon, px, from.latitude);
  const note = (inside: boolean, fraction: number) => {
    if (inside !== isInside) crossings.push({ kind: inside ? 'entry' : 'exit', fraction });
    isInside = inside;
  };
  let last = 0;
  for (const fraction of fractions) {
    if (fraction - last <= sameFraction) continue;
    const middle = (last + fraction) / 2;
    const middleY = from.latitude + middle * (to.latitude - from.latitude);
    note(containsPlanePoint(polygon, px + middle * (qx - px), middleY), last);
    last = fraction;
  }
  note(containsPlanePoint(polygon, qx, to.latitude), 1);
  return crossings;
}

/** Adds the fractions at which p→q has a point in common with an edge; of one along it, both ends. */
function findContacts(
  { x, y }: Ring,
  px: number,
  py: number,
  qx: number,
  qy: number,
  fractions: number[],
): void {
  const [minX, maxX, minY, maxY] = [Math.min(px, qx), Math.max(px, qx), Math.min(py, qy), Math.max(py, qy)];
  for (let next = 1; next < x.length; next++) {
    const [ax = 0, bx = 0] = [x[next - 1], x[next]];
    const [ay = 0, by = 0] = [y[next - 1], y[next]];
    if ((ax < minX && bx < minX) || (ax > maxX && bx > maxX)) continue;
    if ((ay < minY && by < minY) || (ay > maxY && by > maxY)) continue;
    const p = orient2d(ax, ay, bx, by, px, py);
    const q = orient2d(ax, ay, bx, by, qx, qy);
    if ((p > 0 && q > 0) || (p < 0 && q < 0)) continue;
    if (p === 0 && q === 0) {
      fractions.push(fractionAlong(ax, ay, px, py, qx, qy), fractionAlong(bx, by, px, py, qx, qy));
      continue;
    }
    const a = orient2d(px, py, qx, qy, ax, ay);
    const b = orient2d(px, py, qx, qy, bx, by);
    if ((a > 0 && b > 0) || (a < 0 && b < 0)) continue;
    fractions.push(Math.abs(p) / (Math.abs(p) + Math.abs(q)));
  }
}

function fractionAlong(ax: number, ay: number, px: number, py: number, qx: number, qy: number): number {
  const dx = qx - px;
  const dy = qy - py;
  const length2 = dx * dx + dy * dy;
  return length2 > 0 ? Math.min(1, Math.max(0, ((ax - px) * dx + (ay - py) * dy) / length2)) : 0;
}
