import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { startSupervisor } from './supervisor.ts';
import { OwnServer } from './own-server.ts';
import { providedServers } from './provided-servers.ts';
import { findRedisServer, howToGetRedis, startRedisServer } from './redis-server.ts';

export interface TestRedis {
  readonly url: string;
  /** Precedes every key of the test: the server may be a developer's own. */
  readonly keyPrefix: string;
  /** Deletes the keys with the prefix. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The Redis of the test run, with a new key prefix. */
export async function startRedis(): Promise<TestRedis> {
  const { redisUrl: url } = providedServers();
  const keyPrefix = `test:${randomBytes(6).toString('hex')}:`;
  return { url, keyPrefix, [Symbol.asyncDispose]: () => deleteKeys(url, keyPrefix) };
}

async function deleteKeys(url: string, keyPrefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `${keyPrefix}*`, count: 1000 })) {
      if (Array.isArray(keys) && keys.length > 0) await redis.unlink(keys);
    }
  } finally {
    redis.disconnect();
  }
}

export type OwnRedis = OwnServer;

export interface OwnRedisOptions {
  /** Write each command to disk before it is answered, so that a restart has the same data. Default: true. */
  readonly keepsData?: boolean;
  /** Settings of `redis.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A Redis of one test's own, always on this machine. */
export async function startOwnRedis(options: OwnRedisOptions = {}): Promise<OwnRedis> {
  const file = await findRedisServer();
  if (file === undefined) throw new Error(`a test needs a Redis on this machine: ${howToGetRedis}`);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const server = { file, appendOnly: options.keepsData ?? true, settings: options.settings ?? {} };
  const { port, process } = await startRedisServer(supervisor, server);
  return new OwnServer({
    url: `redis://127.0.0.1:${port}`,
    process,
    relaunch: async () => (await startRedisServer(supervisor, { ...server, port })).process,
    stopSignal: 'SIGTERM',
    resources: stack.move(),
  });
}
