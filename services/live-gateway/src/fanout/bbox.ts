import { createHash } from 'node:crypto';
import type { Bbox } from '@app/shared/messages';

/** Whether a point lies in the box or on its edge. A box with west above east crosses the antimeridian. */
export function isInside(bbox: Bbox, latitude: number, longitude: number): boolean {
  return isWithin(bbox[0], bbox[1], bbox[2], bbox[3], latitude, longitude);
}

/** `isInside` with plain numbers: for many points, destructuring the box would cost more than the comparison. */
export function isWithin(
  west: number,
  south: number,
  east: number,
  north: number,
  latitude: number,
  longitude: number,
): boolean {
  if (latitude < south || latitude > north) return false;
  return west <= east ? longitude >= west && longitude <= east : longitude >= west || longitude <= east;
}

/** A short hash, equal for equal boxes in every process; '' without a box. */
export function hashBbox(bbox: Bbox | undefined): string {
  return bbox === undefined
    ? ''
    : createHash('sha256').update(JSON.stringify(bbox)).digest('base64url').slice(0, 12);
}
