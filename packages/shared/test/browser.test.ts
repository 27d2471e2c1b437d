import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { z } from 'zod';

const program = fileURLToPath(new URL('./browser-realm.ts', import.meta.url));
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const printed = z.object({ files: z.array(z.string()), results: z.unknown() });

test('loads and runs without Node, from its own files and zod only', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program]);
  const { files, results } = printed.parse(JSON.parse(stdout));

  const sources = await readdir(new URL('../src/', import.meta.url));
  expect(files.filter((file) => !file.includes('/node_modules/zod/')).toSorted()).toEqual(
    sources.map((file) => `src/${file}`).toSorted(),
  );
  expect(results).toEqual({
    nodeGlobals: [],
    codec: '8E',
    isSame: true,
    bytes: [1, 2, 3],
    bigint: '7',
    rejected: 'not_utf8',
    quality: 0,
    message: { type: 'subscribe', topic: 'event:0190c5de-7a5b-7000-8000-0123456789ab' },
    problem: 'bad-message',
  });
});
