import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom, gaussian, wholeBetween } from '../src/random.ts';

const draw = (count: number, random: () => number): number[] => Array.from({ length: count }, random);

test('the same path gives the same sequence, another path a different one', () => {
  const path = fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(path, path, (a, b) => {
      expect(draw(8, createRandom(...a))).toEqual(draw(8, createRandom(...a)));
      fc.pre(a.join() !== b.join());
      expect(draw(8, createRandom(...a))).not.toEqual(draw(8, createRandom(...b)));
    }),
  );
});

test('values are uniform in [0, 1)', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const value of draw(100_000, createRandom(1))) {
    tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] ?? 0) + 1;
  }
  expect(tenths).toHaveLength(10);
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500);
});

test('wholeBetween includes both ends', () => {
  const random = createRandom(2);
  const drawn = new Set(draw(1_000, () => wholeBetween(random, 3, 5)));
  expect(drawn).toEqual(new Set([3, 4, 5]));
});

test('noise has mean 0 and deviation 1', () => {
  const random = createRandom(3);
  const noise = draw(50_000, () => gaussian(random));
  const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
  const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length;
  expect(mean).toBeCloseTo(0, 1);
  expect(Math.sqrt(variance)).toBeCloseTo(1, 1);
});
