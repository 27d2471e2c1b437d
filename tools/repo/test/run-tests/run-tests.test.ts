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
  test.for([
    [
      'a failed test',
      "test('breaks', () => expect(1).toBe(2));\n",
      '1 passed, 1 failed, 0 skipped',
      'failed: sample.test.mjs > breaks',
    ],
    [
      'a file that cannot be imported',
      "import './gone.mjs';\ntest('never runs', () => {});\n",
      '1 passed, 1 failed, 0 skipped',
      'broken: sample.test.mjs',
    ],
    ['a file without a test', 'export {};\n', '1 passed, 1 failed, 0 skipped', 'broken: sample.test.mjs'],
    [
      'an unhandled rejection',
      "test('passes', () => { void Promise.reject(new Error('lost')); });\n",
      '2 passed, 1 failed, 0 skipped',
      'unhandled error: lost',
    ],
    [
      'an uncaught exception',
      "test('passes', () => new Promise((done) => {\n" +
        "  setImmediate(() => { setImmediate(done); throw new Error('thrown late'); });\n}));\n",
      '2 passed, 1 failed, 0 skipped',
      'unhandled error: thrown late',
    ],
    [
      'a failed hook',
      "describe('suite', () => {\n  beforeAll(() => { throw new Error('no ground'); });\n" +
        "  test('never runs', () => {});\n});\n",
      '1 passed, 2 failed, 0 skipped',
      'broken: sample.test.mjs > suite',
    ],
    [
      'a skip that is not allowed',
      "test.skip('left out', () => {});\n",
      '1 passed, 1 failed, 0 skipped',
      'skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: sample.test.mjs > left out',
    ],
    [
      'a todo',
      "test.todo('some day');\n",
      '1 passed, 1 failed, 0 skipped',
      'skipped, but not in tools/repo/src/run-tests/allowed-skips.ts: sample.test.mjs > some day',
    ],
    [
      'a killed test process',
      "test('kills', () => { process.kill(process.pid, 'SIGKILL'); });\n",
      '1 passed, 2 failed, 0 skipped',
      'pending: sample.test.mjs > kills',
    ],
  ] as const)('with %s', ([, sample, lastLine, reason]) => {
    const run = runTests({ 'good.test.mjs': good, 'sample.test.mjs': sample });
    expect(run.output).toContain(reason);
    expect(run).toMatchObject({ code: 1, lastLine });
  });

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
