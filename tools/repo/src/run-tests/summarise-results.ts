import type { AllowedSkip } from './allowed-skips.ts';
import type { Results } from './results.ts';

export interface RunSummary {
  /** Failures, one line each. */
  readonly failures: readonly string[];
  /** `N passed, N failed, N skipped` */
  readonly summary: string;
  readonly isSuccess: boolean;
}

/**
 * Counts passed, failed and skipped tests. Everything that did not certainly pass is a failure: failed and unfinished
 * tests, suites that failed without a failed test, errors outside tests, skips that are not allowed, and a run that
 * wrote no results, ran no test or exited non-zero. `results` is undefined if vitest wrote none.
 */
export function summariseResults(
  results: Results | undefined,
  exit: string,
  allowedSkips: readonly AllowedSkip[],
): RunSummary {
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
  if (results === undefined) failures.push(`vitest wrote no results: ${exit}`);
  else if (passed === 0 && failures.length === 0) failures.push('no test ran');
  if (exit !== exitCodeZero && failures.length === 0) failures.push(`vitest exited with ${exit}`);

  return {
    failures,
    summary: `${passed} passed, ${failures.length} failed, ${skipped.length} skipped`,
    isSuccess: failures.length === 0,
  };
}

export const exitCodeZero = 'exit code 0';
