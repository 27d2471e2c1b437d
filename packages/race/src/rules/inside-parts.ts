import { containsPoint, type Polygon } from '@app/geometry/polygon';
import { findEdgeCrossings } from '@app/geometry/polygon-edge';
import type { GeoPoint } from '@app/geometry/geo-point';
import type { PreparedArea } from '../prepare-course.ts';

/** Fractions of a movement, 0 at its first fix to 1 at its second. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

export interface InsideParts {
  readonly parts: readonly Part[];
  /** At the second fix. */
  readonly isInside: boolean;
}

const outside: InsideParts = { parts: [], isInside: false };

/** Which parts of the movement between two fixes are inside an area, in order. */
export function insideParts(
  area: PreparedArea,
  wasInside: boolean,
  from: GeoPoint,
  to: GeoPoint,
): InsideParts {
  return 'polygon' in area
    ? insidePolygon(area.polygon, wasInside, from, to)
    : betweenCircles(area, wasInside, from, to);
}

/** Whether a device whose first fix this is begins inside. Between two circles it does not: it was not seen to leave the first. */
export function beginsInside(area: PreparedArea, fix: GeoPoint): boolean {
  return 'polygon' in area && containsPoint(area.polygon, fix);
}

function insidePolygon(polygon: Polygon, wasInside: boolean, from: GeoPoint, to: GeoPoint): InsideParts {
  const crossings = findEdgeCrossings(polygon, from, to);
  if (crossings.length === 0) return wasInside ? { parts: [{ from: 0, to: 1 }], isInside: true } : outside;
  const parts: Part[] = [];
  let enteredAt = wasInside ? 0 : undefined;
  for (const { kind, fraction } of crossings) {
    if (kind === 'entry') enteredAt ??= fraction;
    else if (enteredAt !== undefined) {
      parts.push({ from: enteredAt, to: fraction });
      enteredAt = undefined;
    }
  }
  if (enteredAt !== undefined) parts.push({ from: enteredAt, to: 1 });
  return { parts, isInside: enteredAt !== undefined };
}

/** From the last time that the first circle is left to the next time that the second is reached. */
function betweenCircles(
  { fromCircle, toCircle }: Extract<PreparedArea, { fromCircle: Polygon }>,
  wasInside: boolean,
  from: GeoPoint,
  to: GeoPoint,
): InsideParts {
  const enteredAt = wasInside
    ? 0
    : findEdgeCrossings(fromCircle, from, to).findLast(({ kind }) => kind === 'exit')?.fraction;
  if (enteredAt === undefined) return outside;
  const leftAt = findEdgeCrossings(toCircle, from, to).find(
    ({ kind, fraction }) => kind === 'entry' && fraction >= enteredAt,
  )?.fraction;
  return { parts: [{ from: enteredAt, to: leftAt ?? 1 }], isInside: leftAt === undefined };
}
