import { expect, test } from 'vitest';
import { bindingProblem, loadUws } from '../../src/server/load-uws.ts';

test('a binding that does not load is explained with its true reason, which comes last', () => {
  const error = new Error(
    "This version of uWS.js supports only Node.js versions ...\n\nError: /lib/libc.so.6: version `GLIBC_2.38' not found",
  );
  const text = bindingProblem(error, 'linux', 'x64', 'v24.21.0');
  expect(text).toContain('does not load on linux x64 with Node v24.21.0');
  expect(text).toContain("version `GLIBC_2.38' not found");
  expect(text).not.toContain('This version');
  expect(text).toContain('glibc 2.38 or newer');
});

test('the binding loads here', async () => {
  expect(typeof (await loadUws(16_384)).App).toBe('function');
});
