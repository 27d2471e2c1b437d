import type { GeoPoint } from './geo-point.ts';
import { containsPoint, type Polygon } from './polygon.ts';
import { distanceToEdgeM } from './polygon-edge.ts';

/**
 * Whether a device counts as in a zone. `leaving` is outside, but by so little that it may be the error of a fix: it still
 * counts. The exit, if it becomes one, was at the edge before `leaving`.
 */
export type Membership = 'outside' | 'leaving' | 'inside';

/**
 * The membership after a fix: inside once within; outside only more than `marginM` metres from the edge. Only fixes count: a
 * zone that is entered and left between two of them shows in `findEdgeCrossings`.
 */
export function nextMembership(
  polygon: Polygon,
  marginM: number,
  membership: Membership,
  point: GeoPoint,
): Membership {
  if (containsPoint(polygon, point)) return 'inside';
  if (membership === 'outside') return 'outside';
  return distanceToEdgeM(polygon, point) > marginM ? 'outside' : 'leaving';
}
