import { createHash } from 'node:crypto';
import type { Bbox } from '@app/shared/messages';

/** Whether a place lies in the box, its edges included. West above east: the box crosses the antimeridian. */
export function isInside(bbox: Bbox, latitude: number, longitude: number): boolean {
  return isWithin(bbox[0], bbox[1], bbox[2], bbox[3], latitude, longitude);
}

/** The same of numbers: taking a box apart costs more than all the rest, where many places are asked about. */
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

/** A short text that is the same for equal boxes, in every process; '' for none. */
export function hashBbox(bbox: Bbox | undefined): string {
  return bbox === undefined
    ? ''
    : createHash('sha256').update(JSON.stringify(bbox)).digest('base64url').slice(0, 12);
}
