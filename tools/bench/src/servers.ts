import { readFileSync } from 'node:fs';
import { migrate } from '@app/migrate/migrate';
import { createDatabase } from '@app/test-kit/database';
import { startServers } from '@app/test-kit/servers';
import { startNativeTimescale } from '@app/test-kit/timescale';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { parentOf, processTreeCpuUs } from './process-usage.ts';
import { median } from './quantile.ts';

/** The servers under a benchmark, with connections of its own to prepare them and to look at them. */
export interface BenchServers extends AsyncDisposable {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  /** Before every key that the benchmark makes; all of them are gone at its end. */
  readonly keyPrefix: string;
  readonly settings: ServerSettings;
  /** CPU that the servers have used so far, in µs; Postgres' is NaN where it runs on another machine. */
  cpuUs(): Promise<{ readonly redis: number; readonly postgres: number }>;
}

/** Versions, and how durable a commit is: what the servers say of themselves. */
export interface ServerSettings {
  readonly redis: string;
  readonly redisAppendOnly: string;
  readonly postgres: string;
  readonly timescaledb: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  readonly walSyncMethod: string;
  /** What a commit of one row takes, in ms: a disk that only says that it has flushed shows here. */
  readonly commitMs: number;
}

/** Starts or finds a Redis and a Postgres; on the latter a database of its own, gone at the end, with our table. */
export async function openServers(say: (line: string) => void): Promise<BenchServers> {
  await using stack = new AsyncDisposableStack();
  // Without settings a Postgres that is started here is as durable as it is by default, which is fully.
  const { redisUrl, postgresUrl } = stack.use(await startServers({ print: say }));
  const database = stack.use(await createDatabase(postgresUrl, 'bench'));
  return await connectServers(redisUrl, database.url, stack);
}

/** The same Redis with a TimescaleDB, or undefined where there is none: `TIMESCALE_URL`, or a container. */
export async function openTimescale(
  redisUrl: string,
  say: (line: string) => void,
): Promise<BenchServers | undefined> {
  await using stack = new AsyncDisposableStack();
  const timescale = await startNativeTimescale({});
  if (timescale === undefined) return undefined;
  stack.use(timescale);
  say(`timescale: ${timescale.from}`);
  const servers = await connectServers(redisUrl, timescale.url, stack);
  if (servers.settings.timescaledb !== 'none') return servers;
  await servers[Symbol.asyncDispose]();
  throw new Error(`the server of ${timescale.from} has no TimescaleDB`);
}

/**
 * Connects, makes the table and takes over what `opened` holds, to be disposed with the rest.
 *
 * @throws where Postgres is not durable: it would be faster than it can be in earnest.
 */
export async function connectServers(
  redisUrl: string,
  postgresUrl: string,
  opened: AsyncDisposableStack,
): Promise<BenchServers> {
  const redis = opened.adopt(new Redis(redisUrl), (client) => client.disconnect());
  const sql = opened.adopt(postgres(postgresUrl, { max: 2, onnotice: () => undefined }), (client) =>
    client.end(),
  );
  await migrate(postgresUrl);
  const settings = await askSettings(redis, sql);
  if (settings.fsync !== 'on' || settings.synchronousCommit === 'off') {
    throw new Error(
      `Postgres is not durable (fsync ${settings.fsync}, synchronous_commit ${settings.synchronousCommit}): nothing can be said of it`,
    );
  }
  const keyPrefix = `bench:${process.pid}:`;
  opened.defer(async () => {
    const keys = await redis.keys(`${keyPrefix}*`);
    if (keys.length > 0) await redis.unlink(...keys);
  });
  const postmaster = await findPostmaster(sql);
  const owned = opened.move();
  return {
    redisUrl,
    postgresUrl,
    redis,
    sql,
    keyPrefix,
    settings,
    cpuUs: async () => ({
      redis: await redisCpuUs(redis),
      postgres: postmaster === undefined ? Number.NaN : processTreeCpuUs(postmaster),
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function askSettings(redis: Redis, sql: postgres.Sql): Promise<ServerSettings> {
  const [settings] = await sql<Omit<ServerSettings, 'redis' | 'redisAppendOnly' | 'commitMs'>[]>`
    select current_setting('server_version') as postgres,
           coalesce((select extversion from pg_extension where extname = 'timescaledb'), 'none') as timescaledb,
           current_setting('fsync') as fsync, current_setting('synchronous_commit') as "synchronousCommit",
           current_setting('full_page_writes') as "fullPageWrites",
           current_setting('wal_sync_method') as "walSyncMethod"`;
  if (settings === undefined) throw new Error('Postgres did not answer what it is set to');
  return {
    ...settings,
    redis: infoOf(await redis.info('server'), 'redis_version') ?? 'unknown',
    redisAppendOnly: infoOf(await redis.info('persistence'), 'aof_enabled') === '1' ? 'on' : 'off',
    commitMs: await measureCommit(sql),
  };
}

async function measureCommit(sql: postgres.Sql): Promise<number> {
  const one = await sql.reserve();
  try {
    // The smallest transaction that has to be flushed; a row in a table of ours would be left behind.
    const timesMs: number[] = [];
    for (let n = 0; n < 50; n += 1) {
      const startedAtMs = performance.now();
      await one`select pg_logical_emit_message(true, 'bench', 'x')`;
      timesMs.push(performance.now() - startedAtMs);
    }
    return median(timesMs);
  } finally {
    one.release();
  }
}

function infoOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, 'mu').exec(info)?.[1];
}

async function redisCpuUs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = ['used_cpu_sys', 'used_cpu_user'].map((name) => Number(infoOf(info, name)));
  return seconds.reduce((sum, each) => sum + each, 0) * 1e6;
}

/** The process that all of the server's are children of, if it runs on this machine and can be seen from here. */
async function findPostmaster(sql: postgres.Sql): Promise<number | undefined> {
  const own = await sql.reserve();
  try {
    const [backend] = await own<{ pid: number; port: number | null }[]>`
      select pg_backend_pid() as pid, inet_client_port() as port`;
    if (backend === undefined) return undefined;
    // It is titled with its client's port. In a container the number may be that of another process here.
    const title = readFileSync(`/proc/${backend.pid}/cmdline`, 'utf8');
    return title.startsWith('postgres') && title.includes(`(${backend.port})`)
      ? parentOf(backend.pid)
      : undefined;
  } catch {
    return undefined;
  } finally {
    own.release();
  }
}
