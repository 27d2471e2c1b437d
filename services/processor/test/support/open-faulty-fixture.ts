import { startFaultyNetwork, type FaultyNetwork } from '@app/test-kit/faulty-network';
import { startPostgres } from '@app/test-kit/postgres';
import { startOwnRedis, type OwnRedis } from '@app/test-kit/redis';
import { openFixture, type Fixture } from './open-fixture.ts';
import { records, send, type SentEntry } from './telemetry.ts';

/**
 * A fixture with a Redis of its own, which may be killed, emptied and closed to users. Processors reach Redis and
 * Postgres through networks that may fail; the test's own connections bypass them.
 */
export interface FaultyFixture extends Fixture {
  readonly ownRedis: OwnRedis;
  readonly toRedis: FaultyNetwork;
  readonly toPostgres: FaultyNetwork;
  /** Sends valid records, no two with the same key. */
  feed(count: number): Promise<void>;
  /** Expects that all that was fed is stored. */
  expectFedStored(timeoutMs?: number): Promise<void>;
}

/** @param postgresUrl of a server of the test's own; without it a new database on the shared one. */
export async function openFaultyFixture(postgresUrl?: string): Promise<FaultyFixture> {
  await using stack = new AsyncDisposableStack();
  const ownRedis = stack.use(await startOwnRedis());
  const databaseUrl = postgresUrl ?? stack.use(await startPostgres()).url;
  const toRedis = stack.use(await startFaultyNetwork({ target: ownRedis.url }));
  const toPostgres = stack.use(await startFaultyNetwork({ target: databaseUrl }));
  const fixture = stack.use(await openFixture({ redisUrl: ownRedis.url, postgresUrl: databaseUrl }));
  const fed: SentEntry[] = [];
  const owned = stack.move();
  return {
    ...fixture,
    ownRedis,
    toRedis,
    toPostgres,
    start: (options) =>
      fixture.start({
        redisUrl: toRedis.through(ownRedis.url),
        postgresUrl: toPostgres.through(databaseUrl),
        ...options,
      }),
    feed: async (count) => {
      fed.push(...(await send(fixture.redis, fixture.stream, records(count, { from: fed.length }))));
    },
    expectFedStored: (timeoutMs = 40_000) => fixture.expectStored(fed, { timeoutMs }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The number of entries delivered and not acknowledged, of one consumer or of all. */
export async function pending({ redis, stream }: Fixture, consumer?: string): Promise<number> {
  const owner = consumer === undefined ? [] : [consumer];
  const rows: unknown = await redis.call('XPENDING', stream, 'processor', '-', '+', 100_000, ...owner);
  return Array.isArray(rows) ? rows.length : -1;
}

export async function stored({ sql }: Fixture): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select (select count(*) from positions)::int + (select count(*) from positions_past_limit)::int as n`;
  return row?.n ?? -1;
}

/** Blocks every insert until it is released. */
export async function lockPositions({ sql }: Fixture): Promise<{ release(): Promise<void> }> {
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
