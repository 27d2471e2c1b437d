import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from './problem.ts';
import { readTestNames } from './read-test-names.ts';

/**
 * Each row of docs/invariants.md has a number of its own and names at least one test file that is there, and each test
 * or group of tests that it quotes after a file is in that file: `path/x.test.ts`: "one", "another".
 *
 * Throws when no row is found: a rule that reads nothing would hold for ever.
 */
export function invariantsNameTheirTests(root: string, file = 'docs/invariants.md'): readonly Problem[] {
  const rows = readFileSync(join(root, file), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const number = /^\| ([A-Z]+\d+) \|/u.exec(line)?.[1];
      return number === undefined ? [] : [{ number, line }];
    });
  if (rows.length === 0) throw new Error(`${file} has no row of an invariant: nothing was checked`);
  const numbers = rows.map(({ number }) => number);
  return rows.flatMap(({ number, line }, n) => {
    const isRepeated = numbers.indexOf(number) < n;
    const messages = [...(isRepeated ? ['is there twice'] : []), ...checkProof(root, line)];
    return messages.map((message) => ({ file, message: `${number} ${message}` }));
  });
}

function checkProof(root: string, row: string): readonly string[] {
  const proofs = [...row.matchAll(/`([^`]+\.test\.ts)`((?:[:,] "[^"]+")*)/gu)];
  if (proofs.length === 0) return ['names no test'];
  return proofs.flatMap(([, path = '', quoted = '']) => {
    if (!existsSync(join(root, path))) return [`names ${path}, which is not there`];
    const names = readTestNames(join(root, path));
    return [...quoted.matchAll(/"([^"]+)"/gu)].flatMap(([, name = '']) =>
      names.has(name) ? [] : [`names "${name}", which is not in ${path}`],
    );
  });
}
