import { chmod, cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startSupervisor } from '../src/supervisor.ts';
import { findPostgresBinaries } from '../src/postgres-binaries.ts';
import { connectOnce, createPostgresCluster, startPostgresServer } from '../src/postgres-server.ts';

const isRoot = process.getuid?.() === 0;

test('binaries that the unprivileged user cannot read are copied for root only', async () => {
  await using supervisor = await startSupervisor();
  const reachable = await findPostgresBinaries(supervisor);
  await using stack = new AsyncDisposableStack();
  const closed = await mkdtemp(join(tmpdir(), 'closed-'));
  stack.defer(() => rm(closed, { recursive: true }));
  await chmod(closed, 0o700);
  const unreachable = join(closed, 'native');
  await cp(reachable.folder, unreachable, { recursive: true, verbatimSymlinks: true });

  const binaries = await findPostgresBinaries(supervisor, unreachable);
  expect(binaries.folder).toBe(isRoot ? join(supervisor.folder, 'postgres') : unreachable);
  expect(binaries.user === undefined).toBe(!isRoot);
  const cluster = await createPostgresCluster(supervisor, binaries);
  const server = await startPostgresServer(supervisor, cluster);
  expect(await connectOnce(server.url)).toBe(true);
  expect((await stat(cluster.dataFolder)).uid).toBe(binaries.user?.uid ?? process.getuid?.());
});
