import type { GeoPoint } from './geo-point.ts';
import { unwrapLongitude } from './geo-point.ts';
import { radiansPerDegree } from './wgs84.ts';

/** A range of degrees around a shape, for rejecting what is far from it by comparisons alone. */
export interface NearBox {
  readonly minLatitude: number;
  readonly maxLatitude: number;
  readonly midLongitude: number;
  /** Infinite near a pole. */
  readonly halfWidthDeg: number;
}

/** Less than any degree of latitude, and of longitude at the equator, has: a margin in degrees is rather too wide. */
const metresPerDegree = 110_000;

/** Longest movement in degrees of longitude that a box's latitudes decide; longer ones are calculated. At most 11 km. */
const maxBoxedDeg = 0.1;

/** A line of 0.1° between two points of one parallel leaves it by 1.2 m at most; the rest is for rounding. */
const bulgeM = 5;

/** Beyond this latitude a short way may cross any meridian. */
const polarLatitude = 89;

/** The box of everything within `marginM` metres of the points, and of lines between them that are straight in degrees. */
export function prepareBox(points: readonly GeoPoint[], marginM: number): NearBox {
  const first = points[0]?.longitude ?? 0;
  let [minLatitude, maxLatitude, minLongitude, maxLongitude] = [90, -90, Infinity, -Infinity];
  for (const { latitude, longitude } of points) {
    const unwrapped = unwrapLongitude(longitude, first);
    minLatitude = Math.min(minLatitude, latitude);
    maxLatitude = Math.max(maxLatitude, latitude);
    minLongitude = Math.min(minLongitude, unwrapped);
    maxLongitude = Math.max(maxLongitude, unwrapped);
  }
  const marginDeg = (marginM + bulgeM) / metresPerDegree;
  minLatitude -= marginDeg;
  maxLatitude += marginDeg;
  const highest = Math.max(maxLatitude, -minLatitude);
  if (highest > polarLatitude) {
    if (maxLatitude > polarLatitude) maxLatitude = 90;
    if (minLatitude < -polarLatitude) minLatitude = -90;
    return { minLatitude, maxLatitude, midLongitude: 0, halfWidthDeg: Infinity };
  }
  return {
    minLatitude,
    maxLatitude,
    midLongitude: unwrapLongitude((minLongitude + maxLongitude) / 2, 0),
    halfWidthDeg: (maxLongitude - minLongitude) / 2 + marginDeg / Math.cos(highest * radiansPerDegree),
  };
}

/** False only if the movement between two fixes surely stays outside the box. No trigonometry, no allocation. */
export function mayTouch(box: NearBox, from: GeoPoint, to: GeoPoint): boolean {
  const { latitude, longitude } = from;
  const isBelow = latitude < box.minLatitude && to.latitude < box.minLatitude;
  if (isBelow || (latitude > box.maxLatitude && to.latitude > box.maxLatitude)) {
    const turnDeg = Math.abs(to.longitude - longitude);
    return turnDeg > maxBoxedDeg && turnDeg < 360 - maxBoxedDeg;
  }
  const fromDeg = unwrapLongitude(longitude, box.midLongitude) - box.midLongitude;
  const toDeg = unwrapLongitude(to.longitude, box.midLongitude) - box.midLongitude;
  const isWest = fromDeg < -box.halfWidthDeg && toDeg < -box.halfWidthDeg;
  return !(isWest || (fromDeg > box.halfWidthDeg && toDeg > box.halfWidthDeg));
}
