import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));

/** A tsconfig.json with absolute paths. */
interface Project {
  readonly extends: string;
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  readonly compilerOptions: Readonly<Record<string, unknown>>;
}

/** Runs tsc in `root` with a temporary tsconfig.json. */
export function runTsc(
  root: string,
  project: Project,
  flags: readonly string[],
): { isClean: boolean; lines: readonly string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'checks-tsc-'));
  try {
    const file = join(folder, 'tsconfig.json');
    writeFileSync(file, JSON.stringify(project));
    const run = spawnSync(process.execPath, [tsc, '-p', file, '--pretty', 'false', ...flags], {
      cwd: root, // makes paths in messages relative
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    if (run.error) throw run.error;
    const lines = `${run.stdout}${run.stderr}`.split('\n').filter((line) => line !== '');
    return { isClean: run.status === 0, lines };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
