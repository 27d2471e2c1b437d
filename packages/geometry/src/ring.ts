import { orient2d } from 'robust-predicates';

/** A closed ring in degrees (`PlaneCoordinates`): the last vertex is the first. */
export interface Ring {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** 1 inside, 0 on the ring, -1 outside. Counts the edges that a ray to the east crosses. */
export function locateInRing({ x, y }: Ring, px: number, py: number): number {
  let side = -1;
  let [ax, ay] = [x[0] ?? 0, y[0] ?? 0];
  for (let next = 1; next < x.length; next++) {
    const bx = x[next] ?? 0;
    const by = y[next] ?? 0;
    if (!(ay > py && by > py) && !(ay < py && by < py) && (px <= ax || px <= bx)) {
      if (px < ax && px < bx) {
        // West of the edge: the ray crosses it, unless it only touches its upper end or lies along it.
        if (ay <= py !== by <= py) side = -side;
      } else {
        const turn = orient2d(ax, ay, bx, by, px, py);
        if (turn === 0) return 0;
        if (ay <= py !== by <= py && turn < 0 === ay < by) {
          side = -side;
        }
      }
    }
    ax = bx;
    ay = by;
  }
  return side;
}
