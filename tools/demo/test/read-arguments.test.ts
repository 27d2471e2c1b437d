import { expect, test } from 'vitest';
import { readArguments } from '../src/read-arguments.ts';

test('without options 50 vehicles race until Ctrl-C', () => {
  expect(readArguments([])).toEqual({
    durationMs: undefined,
    vehicles: 50,
    seed: 1,
    startedMs: 120_000,
    isReplay: false,
  });
});

test('options say how long, how many and which race', () => {
  const args = ['--for', '20s', '--vehicles', '7', '--seed', '3', '--started', '5m', '--replay'];
  expect(readArguments(args)).toEqual({
    durationMs: 20_000,
    vehicles: 7,
    seed: 3,
    startedMs: 300_000,
    isReplay: true,
  });
});
