import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';
import type { Results } from './results.ts';

/** Path of the results file, set by `run-vitest.ts`. */
export const resultsFileVariable = 'TEST_RESULTS_FILE';

/**
 * Writes the state of every test, broken suites and unhandled errors to a file. Vitest's JSON reporter lacks the last two:
 * after an unhandled rejection its `success` is true, and a file that cannot be imported has no failed test.
 */
export default class ResultsReporter implements Reporter {
  #namePattern: RegExp | undefined;

  onInit(vitest: Vitest): void {
    this.#namePattern = vitest.config.testNamePattern;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly { message: string }[]): void {
    const written: Results = {
      tests: modules.flatMap((module) =>
        [...module.children.allTests()]
          .filter((test) => this.#isSelected(test))
          .map((test) => ({
            file: module.relativeModuleId,
            name: test.fullName,
            state: test.result().state,
          })),
      ),
      brokenSuites: modules.flatMap((module) => [
        ...(module.errors().length > 0 ? [module.relativeModuleId] : []),
        ...[...module.children.allSuites()]
          .filter((suite) => suite.errors().length > 0)
          .map((suite) => `${module.relativeModuleId} > ${suite.fullName}`),
      ]),
      unhandledErrors: errors.map((error) => error.message),
    };
    const file = process.env[resultsFileVariable];
    if (file === undefined) throw new Error(`${resultsFileVariable} is not set: use ./run test`);
    writeFileSync(file, JSON.stringify(written));
  }

  /** With `-t <pattern>` vitest reports the other tests as skipped; ignore those. */
  #isSelected(test: TestCase): boolean {
    return this.#namePattern?.test(nameForPattern(test)) ?? true;
  }
}

/** The name that vitest matches with `-t`: suites and test joined by spaces. */
function nameForPattern(task: TestCase | TestSuite): string {
  return task.parent.type === 'module' ? task.name : `${nameForPattern(task.parent)} ${task.name}`;
}
