import { expect, test } from 'vitest';
import { bindingProblem, loadUws } from '../../src/server/load-uws.ts';

test('the error for a binding that does not load contains the actual reason', () => {
  const error = new Error(
    "This version of uWS.js supports only Node.js versions ...\n\nError: /lib/libc.so.6: version `GLIBC_2.38' not found",
  );
  const message = bindingProblem(error, 'linux', 'x64', 'v24.21.0');
  expect(message).toContain('does not load on linux x64 with Node v24.21.0');
  expect(message).toContain("version `GLIBC_2.38' not found");
  expect(message).not.toContain('This version');
  expect(message).toContain('glibc 2.38 or newer');
});

test('the binding loads on this system', async () => {
  expect(typeof (await loadUws(16_384)).App).toBe('function');
});
