import { createHash } from 'node:crypto';
import type { Bbox } from '@app/shared/messages';

/** Whether the box contains the point; edges are inside. If west is greater than east, it crosses the antimeridian. */
export function isInside(bbox: Bbox, latitude: number, longitude: number): boolean {
  return isWithin(bbox[0], bbox[1], bbox[2], bbox[3], latitude, longitude);
}

/** `isInside` for loops over many points: reading the tuple for each point would cost more than the comparison. */
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

/** A short hash; equal boxes have equal hashes in every process. '' without a box. */
export function hashBbox(bbox: Bbox | undefined): string {
  return bbox === undefined
    ? ''
    : createHash('sha256').update(JSON.stringify(bbox)).digest('base64url').slice(0, 12);
}
