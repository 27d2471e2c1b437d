import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { startSupervisor } from './supervisor.ts';
import { Lifecycle, type OwnServer } from './own-server.ts';
import { providedServers } from './provided-servers.ts';
import { findRedisServer, howToGetRedis, startRedisServer } from './redis-server.ts';

export interface TestRedis {
  readonly url: string;
  /** Every key of the test starts with it: the server may be a developer's own. */
  readonly keyPrefix: string;
  /** Deletes the keys that start with the prefix, and no others. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The run's Redis, with a key prefix of the caller's own. */
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
  /** Of `redis.conf`, beside those that every test server has. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A Redis of one test's own, always on this machine. */
export async function startOwnRedis(options: OwnRedisOptions = {}): Promise<OwnRedis> {
  const file = await findRedisServer();
  if (file === undefined) throw new Error(`A test needs a Redis on this machine: ${howToGetRedis}`);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const server = { file, appendOnly: options.keepsData ?? true, settings: options.settings ?? {} };
  const { port, process: first } = await startRedisServer(supervisor, server);
  const life = new Lifecycle({
    first,
    launch: async () => (await startRedisServer(supervisor, { ...server, port })).process,
    stopSignal: 'SIGTERM',
  });
  const owned = stack.move();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop: () => life.stop(),
    kill: () => life.kill(),
    start: () => life.start(),
    pause: () => {
      life.pause();
    },
    resume: () => {
      life.resume();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
