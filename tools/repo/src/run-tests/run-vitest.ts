import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { results, type Results } from './results.ts';
import { resultsFileVariable } from './results-reporter.ts';

const repository = fileURLToPath(new URL('../../../..', import.meta.url));
const vitest = fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json')));
const reporter = fileURLToPath(new URL('results-reporter.ts', import.meta.url));

interface VitestRun {
  /** Undefined if vitest exited before writing them. */
  readonly results: Results | undefined;
  /** `exit code 0`, or the signal that killed it. */
  readonly exit: string;
}

/** Runs vitest in a separate process, so that the results are counted even if a test kills it. */
export async function runVitest(args: readonly string[]): Promise<VitestRun> {
  const folder = mkdtempSync(join(tmpdir(), 'test-results-'));
  try {
    const file = join(folder, 'results.json');
    const reporters = [
      'default',
      ...(process.env['GITHUB_ACTIONS'] === 'true' ? ['github-actions'] : []),
      reporter,
    ];
    const child = spawn(
      process.execPath,
      [vitest, 'run', ...reporters.map((name) => `--reporter=${name}`), ...args],
      { cwd: repository, stdio: 'inherit', env: { ...process.env, [resultsFileVariable]: file } },
    );
    const exit = await waitForExit(child);
    return {
      results: existsSync(file) ? results.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined,
      exit,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function waitForExit(child: ChildProcess): Promise<string> {
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
  process.on('SIGINT', ignoreSignal).on('SIGTERM', forward);
  try {
    return await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  } finally {
    process.off('SIGINT', ignoreSignal).off('SIGTERM', forward);
  }
}

/** Ctrl-C reaches vitest through the terminal; this process must stay to count the results. */
function ignoreSignal(): void {}
