import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { startOwnRedis } from './redis.ts';

const script = fileURLToPath(new URL('../../../deploy/redis/users.sh', import.meta.url));
const password = 'of-this-test';

/** A Redis of one test's own with the shipped users and no others. */
export async function startRedisWithUsers() {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'redis-users-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const aclfile = join(folder, 'users.acl');
  // Open at first: the check whether it has started needs a login.
  await writeFile(aclfile, 'user default on nopass allkeys allchannels allcommands\n');
  const server = stack.use(await startOwnRedis({ keepsData: false, settings: { aclfile } }));
  const names = ['ADMIN_PASSWORD', 'INGESTION_PASSWORD', 'PROCESSOR_PASSWORD', 'GATEWAY_PASSWORD'];
  const passwords = Object.fromEntries(names.map((name) => [name, password]));
  await writeFile(
    aclfile,
    execFileSync('sh', [script], { env: { PATH: process.env['PATH'], ...passwords } }),
  );
  const redis = new Redis(server.url);
  try {
    await redis.call('ACL', 'LOAD');
  } finally {
    redis.disconnect();
  }
  const owned = stack.move();
  return {
    /** The URL with the login of this user of deploy/redis/users.sh. */
    urlOf: (user: 'admin' | 'ingestion' | 'processor' | 'live-gateway') =>
      server.url.replace('redis://', `redis://${user}:${password}@`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
