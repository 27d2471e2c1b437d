import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A module in a new folder. */
export async function writeScript(
  ...lines: readonly string[]
): Promise<AsyncDisposable & { readonly folder: string; readonly main: URL }> {
  const folder = await mkdtemp(join(tmpdir(), 'script-'));
  const file = join(folder, 'main.mjs');
  await writeFile(file, lines.join('\n'));
  return {
    folder,
    main: pathToFileURL(file),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
