import { expect, test } from 'vitest';
import { NumberSet } from '../src/number-set.ts';

test('a number is in the set once it was added, however large, and is counted once', () => {
  const numbers = new NumberSet();
  for (const n of [0, 7, 8, 8191, 8192, 1_000_003]) {
    expect([numbers.has(n), numbers.add(n), numbers.has(n), numbers.add(n)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  }
  expect(numbers.size).toBe(6);
  expect([1, 6, 9, 8190, 1_000_002, 2_000_000].filter((n) => numbers.has(n))).toEqual([]);
});
