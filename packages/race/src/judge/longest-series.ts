/** Something that was passed, and when. */
export interface Passed {
  readonly atMs: number;
  /** Race control says that it counts. */
  readonly isDecided: boolean;
}

/** A decided passing outweighs any number of observed ones. */
const decidedWeight = 1000;

/**
 * The longest series in which both order and time rise. Of equally long ones that with the earliest passings, from the start.
 *
 * Taking each passing that is next in order would let one that is missed hold up all later ones, and taking any later one
 * would let a course that comes near its finish early be finished there.
 *
 * @param passed in time order
 */
export function longestSeries<P extends Passed>(
  passed: readonly P[],
  orderOf: (passed: P) => number,
): readonly P[] {
  const isAfter = (one: P, other: P) => orderOf(one) > orderOf(other) && one.atMs >= other.atMs;
  const longestFrom = new Map<P, number>();
  for (const [at, one] of [...passed.entries()].toReversed()) {
    const after = passed.slice(at + 1).filter((later) => isAfter(later, one));
    const longest = after.reduce((most, later) => Math.max(most, longestFrom.get(later) ?? 0), 0);
    longestFrom.set(one, weight(one) + longest);
  }
  const series: P[] = [];
  let left = Math.max(0, ...longestFrom.values());
  for (const one of passed) {
    const last = series.at(-1);
    if (longestFrom.get(one) === left && (!last || isAfter(one, last))) {
      series.push(one);
      left -= weight(one);
    }
  }
  return series;
}

function weight(one: Passed): number {
  return one.isDecided ? decidedWeight : 1;
}
