import { orient2d } from 'robust-predicates';
import { GeometryError } from './geometry-error.ts';
import { metresPerDegreeEast, metresPerDegreeNorth } from './plane-coordinates.ts';
import { locateInRing, type Ring } from './ring.ts';

/** All vertices closer than this to one line: drawn as a line, without an area. */
const minWidthM = 0.1;
/** In the worst case each edge is compared with each other one: a tenth of a second for a ring of so many. */
const maxPoints = 5000;

/** Why a closed ring is no boundary by itself, or undefined. `name` is a part of the sentence: "the outer ring". */
export function findRingError(name: string, { x, y }: Ring): GeometryError | undefined {
  const points = Math.max(0, x.length - 1);
  if (points < 3) {
    return new GeometryError(`A polygon's ring needs at least 3 different points; ${name} has ${points}.`);
  }
  if (points > maxPoints) {
    return new GeometryError(
      `A polygon's ring can have at most ${maxPoints} points; ${name} has ${points}. Simplify it.`,
    );
  }
  const eastM = metresPerDegreeEast(y[0] ?? 0);
  const northM = metresPerDegreeNorth(y[0] ?? 0);
  const fromFirst = (index: number) => ({
    eastM: ((x[index] ?? 0) - (x[0] ?? 0)) * eastM,
    northM: ((y[index] ?? 0) - (y[0] ?? 0)) * northM,
  });
  let farthest = { eastM: 0, northM: 0 };
  for (let index = 1; index < points; index++) {
    const point = fromFirst(index);
    if (Math.hypot(point.eastM, point.northM) > Math.hypot(farthest.eastM, farthest.northM)) farthest = point;
  }
  const lengthM = Math.hypot(farthest.eastM, farthest.northM);
  for (let index = 1; index < points; index++) {
    const point = fromFirst(index);
    if (Math.abs(point.eastM * farthest.northM - point.northM * farthest.eastM) > minWidthM * lengthM)
      return undefined;
  }
  return new GeometryError(`A polygon needs an area; all points of ${name} are on one line.`);
}

interface Edge {
  readonly ring: number;
  readonly index: number;
  readonly ax: number;
  readonly ay: number;
  readonly bx: number;
  readonly by: number;
}

/** Why rings that are boundaries by themselves make no polygon, or undefined. */
export function findRingsError(rings: readonly Ring[]): GeometryError | undefined {
  const edges = rings.flatMap((ring, number) => listEdges(ring, number));
  edges.sort((a, b) => Math.min(a.ax, a.bx) - Math.min(b.ax, b.bx));
  for (const [position, edge] of edges.entries()) {
    const maxX = Math.max(edge.ax, edge.bx);
    for (let next = position + 1; next < edges.length; next++) {
      const other = edges[next];
      if (!other || Math.min(other.ax, other.bx) > maxX) break;
      if (meet(edge, other, rings)) return describeContact(edge, other);
    }
  }
  for (const [number, hole] of rings.entries()) {
    const isHoleIn = (ring: Ring) => locateInRing(ring, hole.x[0] ?? 0, hole.y[0] ?? 0) > 0;
    if (number > 0 && rings[0] && !isHoleIn(rings[0])) {
      return new GeometryError(`Hole ${number} is outside the outer ring.`);
    }
    const around = rings.findIndex(
      (ring, index) => index > 0 && number > 0 && index !== number && isHoleIn(ring),
    );
    if (around > 0) return new GeometryError(`Hole ${number} is inside hole ${around}.`);
  }
  return undefined;
}

function listEdges({ x, y }: Ring, ring: number): Edge[] {
  const edges: Edge[] = [];
  for (let index = 0; index + 1 < x.length; index++) {
    const [ax = 0, bx = 0] = x.subarray(index, index + 2);
    const [ay = 0, by = 0] = y.subarray(index, index + 2);
    edges.push({ ring, index, ax, ay, bx, by });
  }
  return edges;
}

/** Whether two edges that are not neighbours have a point in common. */
function meet(a: Edge, b: Edge, rings: readonly Ring[]): boolean {
  if (Math.min(a.ay, a.by) > Math.max(b.ay, b.by) || Math.min(b.ay, b.by) > Math.max(a.ay, a.by))
    return false;
  const edges = (rings[a.ring]?.x.length ?? 0) - 1;
  // One that folds back onto its neighbour also meets the edge after or before that.
  const areNeighbours = (a.index + 1) % edges === b.index || (b.index + 1) % edges === a.index;
  if (a.ring === b.ring && areNeighbours) return false;
  const a1 = orient2d(b.ax, b.ay, b.bx, b.by, a.ax, a.ay);
  const a2 = orient2d(b.ax, b.ay, b.bx, b.by, a.bx, a.by);
  const b1 = orient2d(a.ax, a.ay, a.bx, a.by, b.ax, b.ay);
  const b2 = orient2d(a.ax, a.ay, a.bx, a.by, b.bx, b.by);
  // Edges on one line meet, since their ranges of x and y overlap.
  return !((a1 > 0 && a2 > 0) || (a1 < 0 && a2 < 0) || (b1 > 0 && b2 > 0) || (b1 < 0 && b2 < 0));
}

function nameOf(ring: number): string {
  return ring === 0 ? 'the outer ring' : `hole ${ring}`;
}

function describeContact(a: Edge, b: Edge): GeometryError {
  const what = a.ring === b.ring ? 'itself' : nameOf(b.ring);
  const between = (edge: Edge) => `between its points ${edge.index + 1} and ${edge.index + 2}`;
  return new GeometryError(
    `A polygon's rings must not touch or cross: ${nameOf(a.ring)} ${between(a)} meets ${what} ${between(b)}.`,
  );
}
