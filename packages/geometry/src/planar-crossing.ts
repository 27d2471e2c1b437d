import { orient2d } from 'robust-predicates';

interface PlanePoint {
  readonly eastM: number;
  readonly northM: number;
}

/** The signed distance of p from the line a→b, times the length of a→b: positive on its left. The sign is exact. */
export function sideOf(a: PlanePoint, b: PlanePoint, p: PlanePoint): number {
  // The package's y axis points down.
  return -orient2d(a.eastM, a.northM, b.eastM, b.northM, p.eastM, p.northM);
}

/**
 * Whether p→q crosses a→b, given `sideOf(a, b, p)` and `sideOf(a, b, q)`. A point on the line counts as on its left, so that
 * of the movements that meet in a vertex on the line one crosses it, or two in opposite directions, or none. Both end points
 * belong to a→b. A movement along the line crosses nothing.
 */
export function isCrossing(
  a: PlanePoint,
  b: PlanePoint,
  p: PlanePoint,
  q: PlanePoint,
  pSide: number,
  qSide: number,
): boolean {
  if (pSide >= 0 === qSide >= 0) return false;
  const aSide = sideOf(p, q, a);
  const bSide = sideOf(p, q, b);
  return (aSide >= 0 && bSide <= 0) || (aSide <= 0 && bSide >= 0);
}
