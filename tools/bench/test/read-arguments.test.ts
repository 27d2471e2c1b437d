import { expect, test } from 'vitest';
import type { Benchmark } from '../src/benchmark.ts';
import { readArguments, usage } from '../src/read-arguments.ts';

const one: Benchmark = {
  measures: 'one thing',
  takes: 'a while',
  run: async () => ({ results: {}, section: '', charts: {} }),
};

test('a benchmark and its options are read', () => {
  expect(readArguments(['one', '--quick', '--json', 'out.json'], { one })).toEqual({
    name: 'one',
    benchmark: one,
    isQuick: true,
    jsonFile: 'out.json',
    writesDocs: false,
  });
});

test.each([
  [[], 'which benchmark?'],
  [['engine'], 'there is no benchmark engine'],
  [['toString'], 'there is no benchmark toString'],
  [['one', 'one'], 'one benchmark at a time'],
  [['one', '--fast'], '--fast'],
  [['one', '--json'], '--json'],
  [['one', '--quick', '--docs'], 'leave out --quick'],
])('%j is refused with what is wrong', (args, problem) => {
  expect(() => readArguments(args, { one })).toThrow(problem);
});

test('the help names every benchmark and how long it takes', () => {
  expect(readArguments(['--help'], { one })).toBeUndefined();
  expect(usage({ one })).toContain('  one          one thing\n               a while\n');
});
