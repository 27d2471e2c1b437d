import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../src/run-tests/main.ts', import.meta.url));
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

const good = "test('holds', () => expect(1).toBe(1));\n";

/** Runs the real command on a temporary project with these files. */
function runTests(
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): { code: number | null; lastLine: string; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'sample-suite-'));
  try {
    symlinkSync(modules, join(folder, 'node_modules'));
    const config = join(folder, 'vitest.config.mjs');
    writeFileSync(config, 'export default { test: { globals: true } };\n');
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);

    // One file for both streams, since the summary must be the last line of both.
    const log = openSync(join(folder, 'log'), 'a+');
    const { status } = spawnSync(process.execPath, [main, '--root', folder, '--config', config, ...args], {
      env: { PATH: process.env['PATH'] }, // without the variables of the outer vitest
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const output = readFileSync(join(folder, 'log'), 'utf8');
    return { code: status, lastLine: output.trimEnd().split('\n').at(-1) ?? '', output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('a run succeeds', () => {
  test('when every test passes', () => {
    const run = runTests({ 'a.test.mjs': good, 'b.test.mjs': good });
    expect(run).toMatchObject({ code: 0, lastLine: '2 passed, 0 failed, 0 skipped' });
  });

  test('when -t excludes tests, which do not count as skipped', () => {
    const suite = `${good}test.skip('another', () => {});\n`;
    const run = runTests({ 'a.test.mjs': suite }, ['-t', 'holds']);
    expect(run).toMatchObject({ code: 0, lastLine: '1 passed, 0 failed, 0 skipped' });
  });
});

describe('a run fails with a reason', () => {
  // It starts a process for each of ten files.
  test(
    'for each failed, broken, skipped, killed or missing test, and for each error outside of one',
    { timeout: 300_000 },
    () => {
      const samples: readonly (readonly [text: string, ...reasons: string[]])[] = [
        ["test('breaks', () => expect(1).toBe(2));\n", 'failed: 0.test.mjs > breaks'],
        // A file that cannot be imported, and one without a test.
        ["import './gone.mjs';\ntest('never runs', () => {});\n", 'broken: 1.test.mjs'],
        ['export {};\n', 'broken: 2.test.mjs'],
        ["test('passes', () => { void Promise.reject(new Error('lost')); });\n", 'unhandled error: lost'],
        [
          "test('passes', () => new Promise((done) => {\n" +
            "  setImmediate(() => { setImmediate(done); throw new Error('thrown late'); });\n}));\n",
          'unhandled error: thrown late',
        ],
        [
          "describe('suite', () => {\n  beforeAll(() => { throw new Error('no ground'); });\n" +
            "  test('never runs', () => {});\n});\n",
          'broken: 5.test.mjs > suite',
          'skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: 5.test.mjs > suite > never runs',
        ],
        [
          "test.skip('left out', () => {});\n",
          'skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: 6.test.mjs > left out',
        ],
        [
          "test.todo('some day');\n",
          'skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: 7.test.mjs > some day',
        ],
        [
          "test('kills', () => { process.kill(process.pid, 'SIGKILL'); });\n",
          'pending: 8.test.mjs > kills',
          'unhandled error: [vitest-pool]: Worker forks emitted error',
        ],
      ];
      const files = Object.fromEntries(samples.map(([text], n) => [`${n}.test.mjs`, text]));
      const run = runTests({ ...files, 'good.test.mjs': good });
      const reasons = samples.flatMap(([, ...ofSample]) => ofSample);
      for (const reason of reasons) expect(run.output).toContain(reason);
      // One failure for each reason: by itself it would fail a run.
      expect(run).toMatchObject({ code: 1, lastLine: `3 passed, ${reasons.length} failed, 0 skipped` });
    },
  );

  test('with no test file at all', () => {
    const run = runTests({});
    expect(run.output).toContain('no test ran');
    expect(run).toMatchObject({ code: 1, lastLine: '0 passed, 1 failed, 0 skipped' });
  });

  test('with a pattern that no test matches', () => {
    const run = runTests({ 'a.test.mjs': good }, ['-t', 'no such test']);
    expect(run.output).toContain('no test ran');
    expect(run).toMatchObject({ code: 1, lastLine: '0 passed, 1 failed, 0 skipped' });
  });

  test('with a set-up that exits with 0 before any test', () => {
    const run = runTests({
      'a.test.mjs': good,
      'vitest.config.mjs': "export default { test: { globalSetup: './leave.mjs' } };\n",
      'leave.mjs': 'export default () => process.exit(0);\n',
    });
    expect(run.output).toContain('vitest wrote no results: exit code 0');
    expect(run).toMatchObject({ code: 1, lastLine: '0 passed, 1 failed, 0 skipped' });
  });

  test('with an option unknown to vitest', () => {
    const run = runTests({ 'a.test.mjs': good }, ['--no-such-option']);
    expect(run).toMatchObject({ code: 1, lastLine: '0 passed, 1 failed, 0 skipped' });
  });
});
