import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { repositoryPath } from '../../../src/deploy/repository.ts';

/** Path of a program on the PATH or installed by `./run test`; undefined if there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), repositoryPath('.toolchain/bin')];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
