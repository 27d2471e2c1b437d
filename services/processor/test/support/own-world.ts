import { startFaultyNetwork, type FaultyNetwork } from '@app/test-kit/faulty-network';
import { startPostgres } from '@app/test-kit/postgres';
import { startOwnRedis, type OwnRedis } from '@app/test-kit/redis';
import { openWorld, type World } from './open-world.ts';
import { records, send, type SentEntry } from './telemetry.ts';

/**
 * A world on a Redis of its own, which may be killed, emptied and shut to users, and whose processors reach Redis and
 * Postgres through networks that may fail. The test's own connections go around them.
 */
export interface OwnWorld extends World {
  readonly redisUrl: string;
  readonly ownRedis: OwnRedis;
  readonly toRedis: FaultyNetwork;
  readonly toPostgres: FaultyNetwork;
  /** Sends so many good records, of which no two have the same key. */
  feed(count: number): Promise<void>;
  /** Proves that all that was fed is stored. */
  expectFedStored(timeoutMs?: number): Promise<void>;
}

/** @param postgresUrl of a server of the test's own; a new database on the shared one without it. */
export async function ownWorld(postgresUrl?: string): Promise<OwnWorld> {
  await using stack = new AsyncDisposableStack();
  const ownRedis = stack.use(await startOwnRedis());
  const databaseUrl = postgresUrl ?? stack.use(await startPostgres()).url;
  const toRedis = stack.use(await startFaultyNetwork({ target: ownRedis.url }));
  const toPostgres = stack.use(await startFaultyNetwork({ target: databaseUrl }));
  const world = stack.use(openWorld({ redisUrl: ownRedis.url, postgresUrl: databaseUrl }));
  const fed: SentEntry[] = [];
  const owned = stack.move();
  return {
    ...world,
    redisUrl: ownRedis.url,
    ownRedis,
    toRedis,
    toPostgres,
    start: (options) =>
      world.start({
        redisUrl: toRedis.through(ownRedis.url),
        postgresUrl: toPostgres.through(databaseUrl),
        ...options,
      }),
    feed: async (count) => {
      fed.push(...(await send(world.redis, world.stream, records(count, { from: fed.length }))));
    },
    expectFedStored: (timeoutMs = 40_000) => world.expectStored(fed, { timeoutMs }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Entries that were delivered and not acknowledged, of one consumer or of all. */
export async function pending({ redis, stream }: World, consumer?: string): Promise<number> {
  const owner = consumer === undefined ? [] : [consumer];
  const rows: unknown = await redis.call('XPENDING', stream, 'processor', '-', '+', 100_000, ...owner);
  return Array.isArray(rows) ? rows.length : -1;
}

export async function stored({ sql }: World): Promise<number> {
  const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
  return row?.n ?? -1;
}

/** Holds every insert back until it is released. */
export async function lockPositions({ sql }: World): Promise<{ release(): Promise<void> }> {
  const connection = await sql.reserve();
  await connection`begin`;
  await connection`lock table positions in access exclusive mode`;
  return {
    release: async () => {
      await connection`commit`;
      connection.release();
    },
  };
}
