import type { AllowedSkip } from './allowed-skips.ts';
import type { Results } from './results.ts';

export interface Verdict {
  /** What the counts alone do not say, one line each. */
  readonly remarks: readonly string[];
  /** `N passed, N failed, N skipped` */
  readonly summary: string;
  readonly isGood: boolean;
}

/**
 * Counts, so that a run is good only if "0 failed" stands in its summary.
 *
 * Failed is whatever is not sure to have passed: failed and unfinished tests, suites that broke
 * without a failed test, errors outside of tests, skips that nobody allowed, and a run that says
 * nothing, has no test or ends badly for a reason it does not name. `results` is undefined where
 * vitest left none.
 */
export function judgeResults(
  results: Results | undefined,
  ending: string,
  allowedSkips: readonly AllowedSkip[],
): Verdict {
  const { tests, brokenSuites, unhandledErrors } = results ?? {
    tests: [],
    brokenSuites: [],
    unhandledErrors: [],
  };
  const isAllowed = (test: Results['tests'][number]): boolean =>
    allowedSkips.some(
      ({ file, name }) => file === test.file && (name === test.name || test.name.startsWith(`${name} > `)),
    );

  const passed = tests.filter((test) => test.state === 'passed').length;
  const skips = tests.filter((test) => test.state === 'skipped');
  const skipped = skips.filter(isAllowed);
  const failures = [
    ...tests
      .filter((test) => test.state === 'failed' || test.state === 'pending')
      .map((test) => `${test.state}: ${test.file} > ${test.name}`),
    ...brokenSuites.map((suite) => `broken: ${suite}`),
    ...unhandledErrors.map((message) => `unhandled error: ${message}`),
    ...skips
      .filter((test) => !isAllowed(test))
      .map(
        (test) =>
          `skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: ${test.file} > ${test.name}`,
      ),
  ];
  if (results === undefined) failures.push(`vitest left no results: ${ending}`);
  else if (passed === 0 && failures.length === 0) failures.push('no test ran');
  if (ending !== goodEnding && failures.length === 0) failures.push(`vitest ended with ${ending}`);

  return {
    remarks: failures,
    summary: `${passed} passed, ${failures.length} failed, ${skipped.length} skipped`,
    isGood: failures.length === 0,
  };
}

export const goodEnding = 'exit code 0';
