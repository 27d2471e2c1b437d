import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Absolute path of a file of the repository. */
export function repositoryPath(file: string): string {
  return fileURLToPath(new URL(`../../../../${file}`, import.meta.url));
}

export function readRepositoryFile(file: string): string {
  return readFileSync(repositoryPath(file), 'utf8');
}
