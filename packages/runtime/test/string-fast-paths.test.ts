import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Whether String.prototype has fast properties in a new process that has imported the module. */
function isFastWith(specifier: string): boolean {
  const program = `await import(${JSON.stringify(specifier)}); console.log(%HasFastProperties(String.prototype))`;
  const node = ['--allow-natives-syntax', '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, node, { cwd: import.meta.dirname, encoding: 'utf8' }));
}

test('ioredis makes String methods slow, and our Redis client restores them', () => {
  // If this fails, the workaround is no longer needed.
  expect(isFastWith('ioredis')).toBe(false);
  expect(isFastWith(import.meta.resolve('../src/redis.ts'))).toBe(true);
});
