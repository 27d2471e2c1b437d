import { readFileSync } from 'node:fs';
import { migrate } from '@app/migrate/migrate';
import { createDatabase } from '@app/test-kit/database';
import { startServers } from '@app/test-kit/servers';
import { startNativeTimescale } from '@app/test-kit/timescale';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { parentOf, processTreeCpuUs } from './process-usage.ts';
import { median } from './quantile.ts';

/** The servers of a benchmark, with connections to prepare and inspect them. */
export interface BenchServers extends AsyncDisposable {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  /** Of every key that the benchmark creates; deleted at its end. */
  readonly keyPrefix: string;
  readonly settings: ServerSettings;
  /** CPU of the servers so far, in µs; Postgres' is NaN if it runs on another machine. */
  cpuUs(): Promise<{ readonly redis: number; readonly postgres: number }>;
}

/** Versions, and how durable a commit is: what the servers print of themselves. */
export interface ServerSettings {
  readonly redis: string;
  readonly postgres: string;
  readonly timescaledb: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  /** Time of a small commit, in ms: reveals a disk that does not really flush. */
  readonly commitMs: number;
}

/** Starts or finds a Redis and a Postgres, with a new migrated database that is dropped at the end. */
export async function openServers(print: (line: string) => void): Promise<BenchServers> {
  await using stack = new AsyncDisposableStack();
  // A Postgres started without settings is fully durable.
  const { redisUrl, postgresUrl } = stack.use(await startServers({ print: print }));
  const database = stack.use(await createDatabase(postgresUrl, 'bench'));
  return await connectServers(redisUrl, database.url, stack);
}

/** The same Redis with a TimescaleDB from `TIMESCALE_URL` or a container; undefined if there is neither. */
export async function openTimescale(
  redisUrl: string,
  print: (line: string) => void,
): Promise<BenchServers | undefined> {
  await using stack = new AsyncDisposableStack();
  const timescale = await startNativeTimescale({});
  if (timescale === undefined) return undefined;
  stack.use(timescale);
  print(`timescale: ${timescale.from}`);
  const servers = await connectServers(redisUrl, timescale.url, stack);
  if (servers.settings.timescaledb !== 'none') return servers;
  await servers[Symbol.asyncDispose]();
  throw new Error(`the server of ${timescale.from} has no TimescaleDB`);
}

/**
 * Connects, migrates and takes over the resources of `opened`.
 *
 * @throws if Postgres is not durable: the results would be too good.
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
      `Postgres is not durable (fsync ${settings.fsync}, synchronous_commit ${settings.synchronousCommit})`,
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
  const [settings] = await sql<Omit<ServerSettings, 'redis' | 'commitMs'>[]>`
    select current_setting('server_version') as postgres,
           coalesce((select extversion from pg_extension where extname = 'timescaledb'), 'none') as timescaledb,
           current_setting('fsync') as fsync, current_setting('synchronous_commit') as "synchronousCommit"`;
  if (settings === undefined) throw new Error('Postgres returned no settings');
  return {
    ...settings,
    redis: infoOf(await redis.info('server'), 'redis_version') ?? 'unknown',
    commitMs: await measureCommit(sql),
  };
}

/** The median time of the smallest transaction that is flushed. */
async function measureCommit(sql: postgres.Sql): Promise<number> {
  const timesMs: number[] = [];
  for (let n = 0; n < 50; n += 1) {
    const startedAtMs = performance.now();
    await sql`select pg_logical_emit_message(true, 'bench', 'x')`;
    timesMs.push(performance.now() - startedAtMs);
  }
  return median(timesMs);
}

function infoOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, 'mu').exec(info)?.[1];
}

async function redisCpuUs(redis: Redis): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = ['used_cpu_sys', 'used_cpu_user'].map((name) => Number(infoOf(info, name)));
  return seconds.reduce((sum, each) => sum + each, 0) * 1e6;
}

/** The parent of all server processes, if it runs on this machine and is visible. */
async function findPostmaster(sql: postgres.Sql): Promise<number | undefined> {
  const [row] = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where backend_type = 'checkpointer'`;
  if (row === undefined) return undefined;
  try {
    // The pid of a server in a container or on another machine may belong to another process here.
    const title = readFileSync(`/proc/${row.pid}/cmdline`, 'utf8');
    return title.includes('checkpointer') ? parentOf(row.pid) : undefined;
  } catch {
    return undefined;
  }
}
