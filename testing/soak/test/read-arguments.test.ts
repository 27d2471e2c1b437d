import { expect, test } from 'vitest';
import { readArguments } from '../src/read-arguments.ts';

test('defaults are ten minutes, a thousand entries a second and a random seed', () => {
  expect(readArguments([])).toEqual({ durationMs: 600_000, seed: expect.any(Number), ratePerS: 1000 });
});

test('options set duration, seed and rate', () => {
  const args = ['--for', '1m', '--seed', '0', '--rate', '50'];
  expect(readArguments(args)).toEqual({ durationMs: 60_000, seed: 0, ratePerS: 50 });
  expect(readArguments(['-h'])).toBeUndefined();
});
