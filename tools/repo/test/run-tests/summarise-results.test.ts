import { describe, expect, test } from 'vitest';
import { exitCodeZero, summariseResults } from '../../src/run-tests/summarise-results.ts';
import type { Results } from '../../src/run-tests/results.ts';

const none: Results = { tests: [], brokenSuites: [], unhandledErrors: [] };
const onePassed: Results = { ...none, tests: [{ file: 'a.test.ts', name: 'holds', state: 'passed' }] };

describe('the summary of a run', () => {
  test('an allowed skip is counted as skipped', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const results = { ...onePassed, tests: [...onePassed.tests, skip] };
    expect(summariseResults(results, exitCodeZero, [{ ...skip, reason: 'no engine here' }])).toEqual({
      failures: [],
      summary: '1 passed, 0 failed, 1 skipped',
      isSuccess: true,
    });
  });

  test('the same name in another file is not allowed', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const allowed = [{ file: 'c.test.ts', name: 'needs an engine', reason: 'no engine here' }];
    expect(summariseResults({ ...onePassed, tests: [skip] }, exitCodeZero, allowed)).toMatchObject({
      summary: '0 passed, 1 failed, 0 skipped',
      isSuccess: false,
    });
  });

  test.for([
    ['the engine > starts', '1 passed, 0 failed, 1 skipped'],
    ['the engine that is another > starts', '1 passed, 1 failed, 0 skipped'],
    ['a suite > the engine > starts', '1 passed, 1 failed, 0 skipped'],
  ])('an allowed suite covers its tests: %s', ([name = '', summary]) => {
    const skip = { file: 'b.test.ts', name, state: 'skipped' } as const;
    const allowed = [{ file: 'b.test.ts', name: 'the engine', reason: 'no engine here' }];
    const results: Results = { ...onePassed, tests: [...onePassed.tests, skip] };
    expect(summariseResults(results, exitCodeZero, allowed).summary).toBe(summary);
  });

  test('a run with only allowed skips fails', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const run = summariseResults({ ...none, tests: [skip] }, exitCodeZero, [
      { ...skip, reason: 'no engine' },
    ]);
    expect(run).toMatchObject({ failures: ['no test ran'], isSuccess: false });
  });

  test.for(['exit code 1', 'SIGKILL'])('an unexplained %s is a failure', (exit) => {
    expect(summariseResults(onePassed, exit, [])).toEqual({
      failures: [`vitest exited with ${exit}`],
      summary: '1 passed, 1 failed, 0 skipped',
      isSuccess: false,
    });
  });
});
