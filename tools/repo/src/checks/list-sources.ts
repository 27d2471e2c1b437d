import { globSync } from 'node:fs';
import { join } from 'node:path';

/** Absolute paths of the TypeScript sources below `folder`, sorted. Throws if there are none, since the code has moved. */
export function listSources(root: string, folder: string): readonly string[] {
  const files = globSync('**/*.ts', { cwd: join(root, folder), exclude: ['**/node_modules/**'] });
  if (files.length === 0) throw new Error(`${folder} has no .ts file, so its rule checks nothing`);
  return files.map((file) => join(root, folder, file)).toSorted();
}

export function isTest(file: string): boolean {
  return file.endsWith('.test.ts');
}
