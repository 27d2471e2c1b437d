import { expect, test } from 'vitest';
import { readArguments, UsageError } from '../src/read-arguments.ts';

const problemsOf = (args: readonly string[]): readonly string[] => {
  try {
    readArguments(args);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
};

test('without options 50 vehicles race until Ctrl-C', () => {
  expect(readArguments([])).toEqual({ durationMs: undefined, vehicles: 50, seed: 1, isReplay: false });
});

test('options say how long, how many and which race', () => {
  const args = ['--for', '20s', '--vehicles', '7', '--seed', '3', '--replay'];
  expect(readArguments(args)).toEqual({ durationMs: 20_000, vehicles: 7, seed: 3, isReplay: true });
});

test('all problems are named at once', () => {
  const problems = problemsOf(['--for', '20', '--vehicles', '0', '--seed', '1.5']);
  expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['--for', '--vehicles', '--seed']);
  expect(problemsOf(['--quick'])[0]).toContain("'--quick'");
});

test('help is asked for by name', () => {
  expect(readArguments(['-h'])).toBeUndefined();
});
