import { expect, test } from 'vitest';
import { UsageError } from '@app/runtime/read-arguments';
import { readArguments } from '../src/read-arguments.ts';

function problemOf(args: readonly string[]): string {
  try {
    readArguments(args);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return '';
}

test('reads the command, the selection and the options', () => {
  expect(readArguments(['list'])).toEqual({
    command: 'list',
    selection: {},
    stream: undefined,
    isEach: false,
    isConfirmed: false,
    limit: 100,
    perSecond: 1000,
    isForced: false,
    isJson: false,
  });
  expect(
    readArguments(['replay', '1-0', '18446744073709551615-2', '--stream', 'a,b', '--per-second', '5']),
  ).toMatchObject({
    command: 'replay',
    selection: { ids: new Set(['1-0', '18446744073709551615-2']) },
    stream: 'a,b',
    perSecond: 5,
  });
  const args = [
    'purge',
    '--reason',
    'a',
    '--reason',
    'b',
    '--entry',
    '7-7',
    '--older-than',
    '7d',
    '--yes',
    '--json',
  ];
  expect(readArguments(args)).toMatchObject({
    selection: { reasons: new Set(['a', 'b']), entryIds: new Set(['7-7']), olderThanMs: 604_800_000 },
    isConfirmed: true,
    isJson: true,
  });
  expect(readArguments(['purge', '--all'])).toMatchObject({ selection: {}, isConfirmed: false });
  expect([readArguments(['--help']), readArguments(['help'])]).toEqual([undefined, undefined]);
});

test.each([
  [[], 'no command given'],
  [['drop'], 'unknown command drop'],
  [['show'], 'no selection'],
  [['replay', '--json'], 'no selection'],
  [['purge', '--yes'], 'no selection'],
  [['show', '12'], '"12" is not an id'],
  [['show', '12-'], '"12-" is not an id'],
  [['show', '-'], '"-" is not an id'],
  [['show', '+'], '"+" is not an id'],
  [['show', '(1-0'], '"(1-0" is not an id'],
  [['show', '01-0'], '"01-0" is not an id'],
  [['show', '18446744073709551616-0'], 'is not an id'],
  [['show', '--entry', 'last'], '"last" is not an id'],
  [['show', '--all', '1-0'], '--all cannot be combined'],
  [['purge', '--all', '--reason', 'not_json'], '--all cannot be combined'],
  [['purge', '--older-than', '7', '--yes'], '--older-than must be'],
  [['purge', '--older-than', '0s', '--yes'], '--older-than must be'],
  [['list', '--limit', '0'], '--limit must be'],
  [['list', '--yes'], '--yes only applies to purge'],
  [['purge', '--all', '--anyway'], '--anyway only applies to replay'],
  [['replay', '--all', '--letters'], '--letters only applies to list'],
  [['replay', '--all', '--per-second', 'x'], '--per-second must be'],
  [['list', '--stream', 'telemetry:teltonika:dlq'], "omit ':dlq'"],
  [['list', '--what'], "'--what'"],
])('%j is refused with the reason', (args, problem) => {
  expect(problemOf(args)).toContain(problem);
});

test('reports all problems at once', () => {
  expect(problemOf(['show', 'x', '--limit', 'y', '--yes']).split('\n')).toHaveLength(3);
});
