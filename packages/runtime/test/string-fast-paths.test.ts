import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** What V8 says of String.prototype in a process of its own that has loaded this. */
function isFastWith(specifier: string): boolean {
  const program = `await import(${JSON.stringify(specifier)}); console.log(%HasFastProperties(String.prototype))`;
  const node = ['--allow-natives-syntax', '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, node, { cwd: import.meta.dirname, encoding: 'utf8' }));
}

test('with ioredis alone the methods of texts are slow, with our client of Redis they are not', () => {
  // Where the first is no longer so, there is nothing left to make fast.
  expect(isFastWith('ioredis')).toBe(false);
  expect(isFastWith(import.meta.resolve('../src/redis.ts'))).toBe(true);
});
