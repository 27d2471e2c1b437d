import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bundleClient } from './support/bundle-client.ts';

const limitBytes = 5_700;

test('the bundle has at most 5.7 kB gzipped and no other dependencies', async () => {
  const { code, imports, modules } = await bundleClient();
  expect(imports).toEqual([]);
  const own = fileURLToPath(new URL('../src/', import.meta.url));
  const shared = fileURLToPath(new URL('../../shared/src/protocol.ts', import.meta.url));
  expect(modules.filter((module) => module !== shared && !module.startsWith(own))).toEqual([]);
  const gzippedBytes = gzipSync(code, { level: 9 }).byteLength;
  // An empty bundle must not pass.
  expect(code.length).toBeGreaterThan(4_000);
  expect(gzippedBytes, `${code.length} bytes minified`).toBeLessThanOrEqual(limitBytes);
});
