import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const step = fileURLToPath(new URL('../../../.ci/container-test', import.meta.url));

interface Machine {
  /** Script of `../shared/containers/base-images`; undefined if it does not exist. */
  readonly baseImages?: string;
  readonly hasEngine: boolean;
}

/** Runs the step in a folder with fake programs that print their arguments. */
async function runStep({ baseImages, hasEngine }: Machine) {
  const folder = await mkdtemp(join(tmpdir(), 'container-step-'));
  const write = async (path: string, script: string): Promise<void> => {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, path), 0o755);
  };
  try {
    await write('repository/run', 'echo "run $* with ${PROMETHEUS_IMAGE:-its own Prometheus}"');
    await write('bin/docker', '[ "$1" = info ] && [ -e "$(dirname "$0")/../engine" ]');
    if (baseImages !== undefined) await write('shared/containers/base-images', baseImages);
    if (hasEngine) await writeFile(join(folder, 'engine'), '');
    await mkdir(join(folder, 'repository/.ci'));
    await copyFile(step, join(folder, 'repository/.ci/container-test'));
    const env = { ...process.env, PATH: `${folder}/bin:${process.env['PATH'] ?? ''}`, PROMETHEUS_IMAGE: '' };
    return await new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
      execFile(join(folder, 'repository/.ci/container-test'), { env }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('without an engine it reports that it did not run and succeeds', async () => {
  const { exitCode, stdout, stderr } = await runStep({ hasEngine: false });
  expect([exitCode, stdout]).toEqual([0, '']);
  expect(stderr).toContain('DID NOT RUN: no container engine answers');
});

test('uses a running engine', async () => {
  const { exitCode, stdout } = await runStep({ hasEngine: true });
  expect([exitCode, stdout]).toEqual([0, 'run container-test with its own Prometheus\n']);
});

test('uses an engine that base-images starts', async () => {
  const baseImages = 'touch "$(dirname "$0")/../../engine"; echo images';
  const { exitCode, stdout } = await runStep({ baseImages, hasEngine: false });
  expect([exitCode, stdout]).toEqual([0, 'run container-test with prom/prometheus:latest\n']);
});

test.for(['exit 1', 'true'])('fails if base-images does not start one (%s)', async (baseImages) => {
  const { exitCode, stdout, stderr } = await runStep({ baseImages, hasEngine: false });
  expect([exitCode, stdout]).toEqual([1, '']);
  expect(stderr).toContain('FAILED');
});
