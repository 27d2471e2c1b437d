import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bundleClient } from './support/bundle-client.ts';

const limitBytes = 5_000;

test('a page loads at most 5 kB of it, gzipped, and nothing besides', async () => {
  const { code, imports, modules } = await bundleClient();
  expect(imports).toEqual([]);
  const own = fileURLToPath(new URL('../src/', import.meta.url));
  const shared = fileURLToPath(new URL('../../shared/src/protocol.ts', import.meta.url));
  expect(modules.filter((module) => module !== shared && !module.startsWith(own))).toEqual([]);
  const gzippedBytes = gzipSync(code, { level: 9 }).byteLength;
  // Enough to be the whole library, so that an empty bundle does not pass for a small one.
  expect(code.length).toBeGreaterThan(4_000);
  expect(gzippedBytes, `${code.length} bytes minified`).toBeLessThanOrEqual(limitBytes);
});
