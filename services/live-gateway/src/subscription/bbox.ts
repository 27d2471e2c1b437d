import { createHash } from 'node:crypto';
import type { Bbox } from '@app/shared/messages';

/** Whether a place lies in the box, its edges included. West above east: the box crosses the antimeridian. */
export function isInside(bbox: Bbox, latitude: number, longitude: number): boolean {
  // By index: taking the tuple apart costs more than all the rest, and this is asked for every row of every client.
  const south = bbox[1];
  const north = bbox[3];
  if (latitude < south || latitude > north) return false;
  const west = bbox[0];
  const east = bbox[2];
  return west <= east ? longitude >= west && longitude <= east : longitude >= west || longitude <= east;
}

/** A short text that is the same for equal boxes, in every process; '' for none. */
export function hashBbox(bbox: Bbox | undefined): string {
  return bbox === undefined
    ? ''
    : createHash('sha256').update(JSON.stringify(bbox)).digest('base64url').slice(0, 12);
}
