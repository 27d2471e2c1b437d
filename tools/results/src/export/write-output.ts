import { createWriteStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '@app/runtime/message-of';
import { failed, Refusal } from '../refusal.ts';

type Parts = AsyncIterable<string>;

export interface OutputFile {
  readonly name: string;
  readonly parts: Parts;
}

/** @throws {Refusal} */
export async function assertNew(output: string): Promise<void> {
  const exists = await lstat(output).then(
    () => true,
    () => false,
  );
  if (exists) throw new Refusal(`${output} exists already; choose another --output, or remove it`);
}

/** Writes a file with a part in memory at a time. @throws {Refusal} */
export async function writeNewFile(output: string, parts: Parts): Promise<void> {
  await writeBeside(output, async (folder) => {
    const file = join(folder, 'file');
    await writeParts(file, parts);
    return file;
  });
}

/** Writes the files of a new directory, one after the other, and returns their names. @throws {Refusal} */
export async function writeFolder(
  output: string,
  files: AsyncIterable<OutputFile>,
): Promise<readonly string[]> {
  const names: string[] = [];
  await writeBeside(output, async (beside) => {
    const folder = join(beside, 'folder');
    await mkdir(folder);
    for await (const { name, parts } of files) {
      await writeParts(join(folder, name), parts);
      names.push(name);
    }
    return folder;
  });
  return names;
}

/** Moves what was written into place at the end: an export that was interrupted leaves nothing that looks complete. */
async function writeBeside(output: string, write: (folder: string) => Promise<string>): Promise<void> {
  const path = resolve(output);
  let beside: string | undefined;
  try {
    beside = await mkdtemp(join(dirname(path), `.${basename(path)}-`));
    const written = await write(beside);
    await assertNew(output);
    await rename(written, path);
  } catch (error) {
    if (!isFileError(error)) throw error;
    throw new Refusal(`${output} cannot be written: ${messageOf(error)}`, failed, { cause: error });
  } finally {
    if (beside !== undefined) await rm(beside, { recursive: true, force: true });
  }
}

const fileErrors: ReadonlySet<unknown> = new Set([
  'EACCES',
  'EDQUOT',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOSPC',
  'ENOTDIR',
  'EPERM',
  'EROFS',
]);

/** Not one of the rows' source, which is read meanwhile. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && fileErrors.has(error.code);
}

async function writeParts(file: string, parts: Parts): Promise<void> {
  // Of each part one, so that a slow disk holds up the reading.
  await pipeline(Readable.from(parts, { highWaterMark: 1 }), createWriteStream(file, { flags: 'wx' }));
}
