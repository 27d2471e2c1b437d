import { runProgram } from '@app/test-kit/program';
import { UsageError } from '@app/runtime/read-arguments';
import { expect, test } from 'vitest';
import { readArguments } from '../src/read-arguments.ts';

const eventId = '5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1';

function problemsOf(...args: readonly string[]): readonly string[] {
  try {
    readArguments(args);
    return [];
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.problems;
  }
}

test('an export has a name for its output by itself', () => {
  const output = (format: string) =>
    readArguments(['export', '--event', eventId.toUpperCase(), '--format', format]);
  expect(output('csv')).toMatchObject({ eventId, output: `results-${eventId}-csv` });
  expect(output('json')).toMatchObject({ output: `results-${eventId}.json` });
});

test.for([
  [['evaluate'], ['--event is missing: the id of the event']],
  [['evaluate', '--event', 'rally'], [`--event must be an id such as ${eventId}`]],
  [['export', '--event', eventId, '--format', 'xml'], ['--format must be one of csv, json, gpx']],
  [['export', '--event', eventId], ['--format must be one of csv, json, gpx']],
  [['evaluate', '--event', eventId, '--format', 'csv'], ['--format does not apply to evaluate']],
  [['evaluate', 'x', '--event', eventId], ["unexpected argument 'x'"]],
  [['import-start-list', '--event', eventId], ['--file is missing: a CSV file']],
  [
    [
      'import-start-list',
      '--event',
      eventId,
      '--file',
      'a.csv',
      '--date',
      '2026-02-30',
      '--time-zone',
      'Mars',
    ],
    [
      '--date must be a day such as 2026-07-04',
      '--time-zone must be the name of a time zone, such as Europe/Helsinki or UTC',
    ],
  ],
  [
    ['import-start-list', '--event', eventId, '--file', 'a.csv', '--date', '2026-07-04'],
    ['--date needs --time-zone'],
  ],
  [['publish', '--event', eventId], ['unknown command publish']],
  [[], ['no command given', '--event is missing: the id of the event']],
] as const)('%j is refused with a sentence', ([args, problems]) => {
  expect(problemsOf(...args)).toEqual(problems);
});

test('the program prints sentences on stderr, with its exit code', async () => {
  const main = new URL('../src/main.ts', import.meta.url);
  const { code, stdout, stderr } = await runProgram({ main, args: ['evaluate', '--event', eventId] });
  expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  expect(stderr).toMatch(/^results: invalid configuration:\nresults: {3}POSTGRES_URL is not set/u);
});
