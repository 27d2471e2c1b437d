/**
 * Groups of at most `maxRows` rows whose times span at most `maxSpanMs`, oldest first. A statement over such a group opens
 * a bounded number of the daily chunks of `positions`, however many there are.
 */
export function sliceByTime<T>(
  rows: readonly T[],
  timeMsOf: (row: T) => number,
  { maxRows, maxSpanMs }: { readonly maxRows: number; readonly maxSpanMs: number },
): readonly (readonly T[])[] {
  const slices: T[][] = [];
  let slice: T[] = [];
  let firstMs = Number.NEGATIVE_INFINITY;
  for (const row of rows.toSorted((a, b) => timeMsOf(a) - timeMsOf(b))) {
    const timeMs = timeMsOf(row);
    if (slice.length === 0 || slice.length >= maxRows || timeMs - firstMs > maxSpanMs) {
      slice = [];
      slices.push(slice);
      firstMs = timeMs;
    }
    slice.push(row);
  }
  return slices;
}

/**
 * A time as a literal of a statement. TimescaleDB leaves chunks out of a plan by constants only: with a parameter a
 * prepared statement plans and locks every chunk.
 */
export function timeLiteral(timeMs: number): string {
  return `timestamptz '${new Date(timeMs).toISOString()}'`;
}
