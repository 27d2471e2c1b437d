import { expect, test } from 'vitest';
import { readArguments } from './read-arguments.ts';

test('a suite and its options are read', () => {
  expect(readArguments(['processor', '--quick', '--json', 'out.json'])).toEqual({
    suite: 'processor',
    isQuick: true,
    jsonFile: 'out.json',
    writesDocs: false,
  });
});

test.each([
  [[], 'there is no suite given'],
  [['engine'], 'there is no suite engine'],
  [['processor', 'processor'], 'one suite at a time'],
  [['processor', '--fast'], '--fast'],
  [['processor', '--json'], '--json'],
])('%j is refused with what is wrong', (args, problem) => {
  expect(readArguments(args)).toEqual({ problem: expect.stringContaining(problem) });
});
