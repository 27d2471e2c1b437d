import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from './problem.ts';
import { readTestNames } from './read-test-names.ts';

/**
 * Each row of docs/invariants.md has a unique number and names at least one existing test file, followed by tests or
 * suites of that file: `path/x.test.ts`: "one", "another". Throws if there are no rows.
 */
export function invariantsNameTheirTests(root: string, file = 'docs/invariants.md'): readonly Problem[] {
  const rows = readFileSync(join(root, file), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const number = /^\| ([A-Z]+\d+) \|/u.exec(line)?.[1];
      return number === undefined ? [] : [{ number, line }];
    });
  if (rows.length === 0) throw new Error(`${file} has no invariants, so nothing was checked`);
  const numbers = rows.map(({ number }) => number);
  return rows.flatMap(({ number, line }, n) => {
    const isRepeated = numbers.indexOf(number) < n;
    const messages = [...(isRepeated ? ['is not unique'] : []), ...checkTests(root, line)];
    return messages.map((message) => ({ file, message: `${number} ${message}` }));
  });
}

function checkTests(root: string, row: string): readonly string[] {
  const references = [...row.matchAll(/`([^`]+\.test\.ts)`((?:[:,] "[^"]+")*)/gu)];
  if (references.length === 0) return ['names no test'];
  return references.flatMap(([, path = '', quoted = '']) => {
    if (!existsSync(join(root, path))) return [`names ${path}, which does not exist`];
    const names = readTestNames(join(root, path));
    return [...quoted.matchAll(/"([^"]+)"/gu)].flatMap(([, name = '']) =>
      names.has(name) ? [] : [`names "${name}", which is not in ${path}`],
    );
  });
}
