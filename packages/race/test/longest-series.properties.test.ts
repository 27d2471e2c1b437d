import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestSeries } from '../src/judge/longest-series.ts';

interface Item {
  readonly order: number;
  readonly atMs: number;
  readonly isDecided: boolean;
}

const arbitraryItems = fc
  .array(
    fc.record({ order: fc.nat(5), atMs: fc.nat(20), isDecided: fc.constantFrom(false, false, false, true) }),
    {
      maxLength: 9,
    },
  )
  .map((items): readonly Item[] => items.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order));

test('no other series in which order and time rise weighs more, and of equal ones none begins earlier', () => {
  fc.assert(
    fc.property(arbitraryItems, (items) => {
      const series = longestSeries(items, ({ order }) => order);
      const [best] = allSeries(items).toSorted((a, b) => weigh(b) - weigh(a) || compareTimes(a, b));
      expect(weigh(series)).toBe(weigh(best ?? []));
      expect(series.map(({ atMs }) => atMs)).toEqual((best ?? []).map(({ atMs }) => atMs));
    }),
  );
});

function allSeries(items: readonly Item[]): readonly (readonly Item[])[] {
  const found: (readonly Item[])[] = [[]];
  for (const item of items) {
    const before = found.filter((series) => (series.at(-1)?.order ?? -1) < item.order);
    for (const series of before) found.push([...series, item]);
  }
  return found;
}

function weigh(series: readonly Item[]): number {
  return series.reduce((sum, { isDecided }) => sum + (isDecided ? 1000 : 1), 0);
}

function compareTimes(a: readonly Item[], b: readonly Item[]): number {
  for (const [index, item] of a.entries()) {
    const difference = item.atMs - (b[index]?.atMs ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
