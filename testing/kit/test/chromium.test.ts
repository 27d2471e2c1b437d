import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findChromium } from '../src/chromium.ts';

async function folderWith(script: string): Promise<{ readonly folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'browser-'));
  const file = join(folder, 'chromium');
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('a browser is found by its version output', async () => {
  await using browser = await folderWith("echo 'Chromium 150.0.1 built on Debian'");
  expect(await findChromium({ PATH: browser.folder })).toBe(join(browser.folder, 'chromium'));
});

test.each(["echo 'install it: snap install chromium'", 'exit 1'])(
  'a script that runs %j is no browser',
  async (script) => {
    await using stub = await folderWith(script);
    expect(await findChromium({ PATH: stub.folder })).not.toBe(join(stub.folder, 'chromium'));
  },
);
