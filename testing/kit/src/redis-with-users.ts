import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { startOwnRedis } from './redis.ts';

export interface RedisWithUsers extends AsyncDisposable {
  /** The URL with the login of this user of deploy/redis/users.sh. */
  readonly urlOf: (user: 'admin' | 'ingestion' | 'processor' | 'live-gateway') => string;
}

const script = fileURLToPath(new URL('../../../deploy/redis/users.sh', import.meta.url));
const password = 'of-this-test';

/** A Redis of one test's own with the shipped users and no others. */
export async function startRedisWithUsers(): Promise<RedisWithUsers> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'redis-users-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const aclfile = join(folder, 'users.acl');
  // Open at first: the check whether it has started needs a login.
  await writeFile(aclfile, 'user default on nopass allkeys allchannels allcommands\n');
  const server = stack.use(await startOwnRedis({ keepsData: false, settings: { aclfile } }));
  const passwords = ['ADMIN', 'INGESTION', 'PROCESSOR', 'GATEWAY'].map((name) => [
    `${name}_PASSWORD`,
    password,
  ]);
  const users = execFileSync('sh', [script], {
    env: { PATH: process.env['PATH'], ...Object.fromEntries(passwords) },
  });
  await writeFile(aclfile, users);
  const redis = new Redis(server.url);
  try {
    await redis.call('ACL', 'LOAD');
  } finally {
    redis.disconnect();
  }
  const owned = stack.move();
  return {
    urlOf: (user) => server.url.replace('redis://', `redis://${user}:${password}@`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
