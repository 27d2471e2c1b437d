import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

/** Redis and Postgres of one test, with a connection to each and a stream of its own. */
export interface ServerFixture extends AsyncDisposable {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly stream: string;
  /** Disposes the resource with the fixture, before connections and servers. */
  use<T extends AsyncDisposable>(resource: T): T;
}

/** Takes the run's servers, with a new database, where no other is given; those given are not disposed. */
export async function openServerFixture(
  given: { readonly redisUrl?: string; readonly postgresUrl?: string } = {},
): Promise<ServerFixture> {
  await using stack = new AsyncDisposableStack();
  let { redisUrl, postgresUrl } = given;
  let stream = `telemetry:${randomBytes(4).toString('hex')}`;
  if (redisUrl === undefined) {
    const shared = stack.use(await startRedis());
    redisUrl = shared.url;
    stream = shared.keyPrefix + stream;
  }
  postgresUrl ??= stack.use(await startPostgres()).url;
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  // Tests stop servers under this connection on purpose; it reconnects.
  redis.on('error', () => undefined);
  stack.defer(() => redis.disconnect());
  const sql = postgres(postgresUrl, {
    max: 4,
    onnotice: () => undefined,
    connection: { application_name: 'test' },
    backoff: () => 0.05,
  });
  stack.defer(() => sql.end({ timeout: 1 }));
  const owned = stack.move();
  return {
    redisUrl,
    postgresUrl,
    redis,
    sql,
    stream,
    use: (resource) => owned.use(resource),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
