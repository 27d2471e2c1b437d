import { expect, test } from 'vitest';
import {
  duration,
  flag,
  readArguments,
  string,
  strings,
  UsageError,
  wholeNumber,
} from '../src/read-arguments.ts';

const options = {
  name: string(),
  tag: strings(),
  dry: flag(),
  count: wholeNumber(50, { from: 1, to: 100 }),
  seed: wholeNumber(undefined, { from: 0 }),
  for: duration(undefined),
};

function problemsOf(args: readonly string[]): readonly string[] {
  try {
    readArguments(args, options);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
}

test('options that are not given have their fallbacks', () => {
  expect(readArguments([], options)).toEqual({
    values: { name: undefined, tag: [], dry: false, count: 50, seed: undefined, for: undefined },
    positionals: [],
  });
});

test('options are read by their kind', () => {
  const args = [
    '--name',
    'a',
    '--tag',
    'b',
    '--tag=c',
    '--dry',
    '--count',
    '7',
    '--seed',
    '0',
    '--for',
    '20s',
  ];
  expect(readArguments(args, options)?.values).toEqual({
    name: 'a',
    tag: ['b', 'c'],
    dry: true,
    count: 7,
    seed: 0,
    for: 20_000,
  });
});

test.for([
  ['500ms', 500],
  ['20s', 20_000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
] as const)('the duration %s is %s ms', ([text, durationMs]) => {
  expect(readArguments(['--for', text], options)?.values.for).toBe(durationMs);
});

test.for(['0s', '20', '20 s', '-1s', ''])('the duration "%s" is refused', (text) => {
  expect(problemsOf([`--for=${text}`])[0]).toMatch(/^--for must be a duration/u);
});

test.for(['0', '101', '1.5', 'x', '', '1e1'])('the count "%s" is refused', (text) => {
  expect(problemsOf([`--count=${text}`])).toEqual(['--count must be a whole number from 1 to 100']);
});

test('an unknown option, a missing value and an unexpected argument are refused', () => {
  expect(problemsOf(['--fast'])).toEqual(["Unknown option '--fast'"]);
  expect(problemsOf(['--name'])[0]).toContain('--name');
  expect(problemsOf(['twice'])).toEqual(["unexpected argument 'twice'"]);
});

test('all problems are reported at once, those of the check last', () => {
  expect(() =>
    readArguments(['--count', '0', '--seed', 'x'], options, ({ count }) => [`count is ${count}`]),
  ).toThrow(
    new UsageError([
      '--count must be a whole number from 1 to 100',
      '--seed must be a whole number of at least 0',
      'count is 50',
    ]),
  );
});

test('help leaves everything else unchecked', () => {
  expect(readArguments(['--help', '--count', '0'], options)).toBeUndefined();
  expect(readArguments(['-h'], options, () => ['never'])).toBeUndefined();
});
