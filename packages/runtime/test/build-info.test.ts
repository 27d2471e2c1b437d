import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readBuildInfo, registerBuildInfo } from '../src/build-info.ts';

const program = new URL('run-service.fixture.ts', import.meta.url).pathname;

test("the version is that of the program's package", async () => {
  const own = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')));
  expect(readBuildInfo({ BUILD_COMMIT: 'abc123' }, program)).toEqual({
    version: own.version,
    commit: 'abc123',
  });
});

test('a missing version or commit is unknown', () => {
  const nowhere = join(tmpdir(), 'no-such-folder', 'main.ts');
  const unknown = { version: 'unknown', commit: 'unknown' };
  expect(readBuildInfo({}, nowhere)).toEqual(unknown);
  expect(readBuildInfo({ BUILD_COMMIT: '', COMMIT: '' }, nowhere)).toEqual(unknown);
});

test("the registry gets build_info and Node's own metrics", async () => {
  const registry = new Registry();
  registerBuildInfo(registry, 'processor', 'processor-2');
  const metrics = await registry.metrics();
  expect(metrics).toMatch(
    /^build_info\{service="processor",version="[^"]+",commit="[^"]+",instance_id="processor-2"\} 1$/mu,
  );
  expect(metrics).toMatch(/^nodejs_eventloop_lag_p99_seconds \d/mu);
  expect(metrics).toMatch(/^process_resident_memory_bytes \d/mu);
});
