import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import segmentsIntersect from 'robust-segment-intersect';
import { isCrossing, sideOf } from '../src/planar-crossing.ts';
import { uniform } from './support/uniform.ts';

interface Point {
  readonly eastM: number;
  readonly northM: number;
}

// A small lattice: vertices on the gate, on its posts and along its line are frequent, and every sum is exact.
const lattice = (min: number, max: number) => fc.integer({ min, max });
const point = (max: number): fc.Arbitrary<Point> =>
  fc.record({ eastM: lattice(-max, max), northM: lattice(-max, max) });
const left: Point = { eastM: -4, northM: 0 };
const right: Point = { eastM: 4, northM: 0 };

/** 1 for a forward crossing, -1 for a backward one, else 0. */
function cross(a: Point, b: Point, p: Point, q: Point): number {
  const [pSide, qSide] = [sideOf(a, b, p), sideOf(a, b, q)];
  if (!isCrossing(a, b, p, q, pSide, qSide)) return 0;
  return qSide >= 0 ? 1 : -1;
}

function netCrossings(a: Point, b: Point, track: readonly Point[]): number {
  return track.slice(1).reduce((net, q, index) => net + cross(a, b, track[index] ?? q, q), 0);
}

const hasPassed = (p: Point | undefined) => (p && sideOf(left, right, p) >= 0 ? 1 : 0);

test('along a track between the posts, forward less backward crossings are the change of side', () => {
  const between = fc.record({ eastM: lattice(-4, 4), northM: lattice(-3, 3) });
  fc.assert(
    fc.property(fc.array(between, { minLength: 1, maxLength: 30 }), (track) => {
      expect(netCrossings(left, right, track)).toBe(hasPassed(track.at(-1)) - hasPassed(track[0]));
    }),
    { numRuns: 2000 },
  );
});

/** How often a closed track goes around a point anticlockwise, by the sum of angles. */
function windings(track: readonly Point[], around: Point): number {
  let radians = 0;
  for (const [index, p] of track.entries()) {
    const q = track[(index + 1) % track.length] ?? p;
    const [px, py] = [p.eastM - around.eastM, p.northM - around.northM];
    const [qx, qy] = [q.eastM - around.eastM, q.northM - around.northM];
    radians += Math.atan2(px * qy - py * qx, px * qx + py * qy);
  }
  return Math.round(radians / (2 * Math.PI));
}

test('around the posts, a closed track counts as often as it goes around one and not the other', () => {
  fc.assert(
    fc.property(fc.array(point(6), { minLength: 2, maxLength: 20 }), (track) => {
      const closed = [...track, ...track.slice(0, 1)];
      const touchesPost = closed
        .slice(1)
        .some((q, index) => [left, right].some((post) => meet(closed[index] ?? q, q, post, post)));
      fc.pre(!touchesPost);
      const around = windings(track, left) - windings(track, right);
      expect(netCrossings(left, right, closed) - around).toBe(0);
    }),
    { numRuns: 2000 },
  );
});

test('a vertex inserted on a movement changes nothing', () => {
  fc.assert(
    fc.property(point(6), point(3), fc.array(lattice(0, 4), { maxLength: 5 }), (p, step, shares) => {
      const at = (share: number): Point => ({
        eastM: p.eastM + share * step.eastM,
        northM: p.northM + share * step.northM,
      });
      const track = [0, ...shares.toSorted((a, b) => a - b), 4].map(at);
      const inserted = track.slice(1).map((q, index) => cross(left, right, track[index] ?? q, q));
      expect(inserted.filter((crossing) => crossing !== 0)).toEqual(
        [cross(left, right, p, at(4))].filter((crossing) => crossing !== 0),
      );
    }),
    { numRuns: 2000 },
  );
});

function meet(a: Point, b: Point, p: Point, q: Point): boolean {
  return segmentsIntersect(
    [a.eastM, a.northM],
    [b.eastM, b.northM],
    [p.eastM, p.northM],
    [q.eastM, q.northM],
  );
}

/** Points that are nearly on one line, by the last bits of a double: where a rounded determinant has the wrong sign. */
const nearLine = fc
  .tuple(lattice(-40, 40), lattice(-2, 2), lattice(-2, 2))
  .map(([share, eastBits, northBits]) => ({
    eastM: 0.5 + share / 10 + eastBits * 2 ** -52,
    northM: 0.5 + share / 10 + northBits * 2 ** -52,
  }));

test.each([
  ['lattice', point(4)],
  ['nearly collinear', nearLine],
  [
    'any',
    fc.record({
      eastM: uniform(-100, 100),
      northM: uniform(-100, 100),
    }),
  ],
])(
  '%s points: a movement crosses exactly if it meets the gate and changes side (robust-segment-intersect)',
  (_, any) => {
    fc.assert(
      fc.property(any, any, any, any, (a, b, p, q) => {
        // A gate has a length; the reference takes numbers that underflow for 0.
        fc.pre(Math.hypot(a.eastM - b.eastM, a.northM - b.northM) > 1e-17);
        const changesSide = sideOf(a, b, p) >= 0 !== sideOf(a, b, q) >= 0;
        expect(cross(a, b, p, q) !== 0).toBe(changesSide && meet(a, b, p, q));
      }),
      { numRuns: 5000 },
    );
  },
);
