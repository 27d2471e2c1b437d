import { chmod, cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startGuard } from '../src/guard.ts';
import { findPostgresBinaries } from '../src/postgres-binaries.ts';
import { connectOnce, createPostgresCluster, startPostgresServer } from '../src/postgres-server.ts';

const isRoot = process.getuid?.() === 0;

test('binaries that the unprivileged user cannot reach are copied for root, and used where they are by others', async () => {
  await using guard = await startGuard();
  const reachable = await findPostgresBinaries(guard);
  await using stack = new AsyncDisposableStack();
  const closed = await mkdtemp(join(tmpdir(), 'closed-'));
  stack.defer(() => rm(closed, { recursive: true }));
  await chmod(closed, 0o700);
  const unreachable = join(closed, 'native');
  await cp(reachable.folder, unreachable, { recursive: true, verbatimSymlinks: true });

  const binaries = await findPostgresBinaries(guard, unreachable);
  expect(binaries.folder).toBe(isRoot ? join(guard.folder, 'postgres') : unreachable);
  expect(binaries.user === undefined).toBe(!isRoot);
  const cluster = await createPostgresCluster(guard, binaries);
  const server = await startPostgresServer(guard, cluster);
  expect(await connectOnce(server.url)).toBe(true);
  expect((await stat(cluster.dataFolder)).uid).toBe(binaries.user?.uid ?? process.getuid?.());
});
