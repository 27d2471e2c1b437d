import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Absolute paths of the TypeScript sources below `folder`, sorted.
 *
 * Throws when there is none: a rule over an empty folder would hold for ever,
 * whatever the code that has moved elsewhere does.
 */
export function listSources(root: string, folder: string): readonly string[] {
  const files = globSync('**/*.ts', { cwd: join(root, folder), exclude: ['**/node_modules/**'] });
  if (files.length === 0) throw new Error(`${folder} holds no .ts file: the rule about it checks nothing`);
  return files.map((file) => join(root, folder, file)).toSorted();
}

export function isTest(file: string): boolean {
  return file.endsWith('.test.ts');
}
