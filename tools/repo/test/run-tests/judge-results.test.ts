import { describe, expect, test } from 'vitest';
import { goodEnding, judgeResults } from '../../src/run-tests/judge-results.ts';
import type { Results } from '../../src/run-tests/results.ts';

const none: Results = { tests: [], brokenSuites: [], unhandledErrors: [] };
const onePassed: Results = { ...none, tests: [{ file: 'a.test.ts', name: 'holds', state: 'passed' }] };

describe('the verdict on a run', () => {
  test('a skip on the list is counted as skipped, and the run is good', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const results = { ...onePassed, tests: [...onePassed.tests, skip] };
    expect(judgeResults(results, goodEnding, [{ ...skip, reason: 'no engine here' }])).toEqual({
      remarks: [],
      summary: '1 passed, 0 failed, 1 skipped',
      isGood: true,
    });
  });

  test('the same name in another file is not the one on the list', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const allowed = [{ file: 'c.test.ts', name: 'needs an engine', reason: 'no engine here' }];
    expect(judgeResults({ ...onePassed, tests: [skip] }, goodEnding, allowed)).toMatchObject({
      summary: '0 passed, 1 failed, 0 skipped',
      isGood: false,
    });
  });

  test.for([
    ['the engine > starts', '1 passed, 0 failed, 1 skipped'],
    ['the engine that is another > starts', '1 passed, 1 failed, 0 skipped'],
    ['a suite > the engine > starts', '1 passed, 1 failed, 0 skipped'],
  ])('a suite on the list stands for what is in it: %s', ([name = '', summary]) => {
    const skip = { file: 'b.test.ts', name, state: 'skipped' } as const;
    const allowed = [{ file: 'b.test.ts', name: 'the engine', reason: 'no engine here' }];
    const results: Results = { ...onePassed, tests: [...onePassed.tests, skip] };
    expect(judgeResults(results, goodEnding, allowed).summary).toBe(summary);
  });

  test('nothing but allowed skips is no run', () => {
    const skip = { file: 'b.test.ts', name: 'needs an engine', state: 'skipped' } as const;
    const verdict = judgeResults({ ...none, tests: [skip] }, goodEnding, [{ ...skip, reason: 'no engine' }]);
    expect(verdict).toMatchObject({ remarks: ['no test ran'], isGood: false });
  });

  test('a test that never ended has failed', () => {
    const results: Results = { ...none, tests: [{ file: 'a.test.ts', name: 'hangs', state: 'pending' }] };
    expect(judgeResults(results, goodEnding, []).summary).toBe('0 passed, 1 failed, 0 skipped');
  });

  test.for(['exit code 1', 'SIGKILL'])('an ending by %s that nothing explains is a failure', (ending) => {
    expect(judgeResults(onePassed, ending, [])).toEqual({
      remarks: [`vitest ended with ${ending}`],
      summary: '1 passed, 1 failed, 0 skipped',
      isGood: false,
    });
  });
});
