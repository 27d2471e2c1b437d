import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/**
 * The path of the first program with one of these names and an accepted version output: in a folder of `PATH`, in one
 * of `folders`, or in `.toolchain/{toolchain}/bin`, where `./run` may have put it.
 */
export async function findProgram(
  names: readonly string[],
  options: {
    readonly accepts: (versionOutput: string) => boolean;
    readonly toolchain: string;
    /** Default: `--version`. */
    readonly versionFlag?: string;
    readonly folders?: readonly string[];
    readonly env?: NodeJS.ProcessEnv;
  },
): Promise<string | undefined> {
  const { accepts, toolchain, versionFlag = '--version', folders = [], env = process.env } = options;
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const fetched = fileURLToPath(new URL(`../../../.toolchain/${toolchain}/bin`, import.meta.url));
  for (const folder of [...onPath, ...folders, fetched]) {
    for (const name of names) {
      const file = join(folder, name);
      const output = await readVersion(file, versionFlag);
      if (output !== undefined && accepts(output)) return file;
    }
  }
  return undefined;
}

/** Undefined if the program is missing or does not run here. */
export async function readVersion(file: string, versionFlag = '--version'): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, [versionFlag], { timeout: 10_000 });
    return stdout + stderr;
  } catch {
    return undefined;
  }
}
