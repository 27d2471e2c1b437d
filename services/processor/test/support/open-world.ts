import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expectAllStored, type Promised } from './expect-all-stored.ts';
import { startProcessor, type ProcessorOptions, type RunningProcessor } from './start-processor.ts';

type Addresses = Pick<ProcessorOptions, 'redisUrl' | 'postgresUrl'>;

/** One stream and one database with what a test needs to feed them, to look into them and to run processors on them. */
export interface World extends AsyncDisposable {
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly stream: string;
  /** Starts a processor of this world; it ends with it. */
  start(options?: Partial<ProcessorOptions>): Promise<RunningProcessor>;
  /** `expectAllStored` of this world. */
  expectStored(
    sent: Promised['sent'],
    options?: { readonly parked?: ReadonlyMap<string, string>; readonly timeoutMs?: number },
  ): Promise<void>;
}

/** Opens a test's own connections to its servers; `stream` is new unless given. */
export function openWorld(
  addresses: Addresses & { readonly stream?: string; readonly keyPrefix?: string },
): World {
  const { redisUrl, postgresUrl, keyPrefix = '' } = addresses;
  const stream = addresses.stream ?? `${keyPrefix}telemetry:${randomBytes(4).toString('hex')}`;
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  // Servers are ended and cut off under this connection on purpose; it comes back by itself.
  redis.on('error', () => undefined);
  const sql = postgres(postgresUrl, {
    max: 4,
    onnotice: () => undefined,
    connection: { application_name: 'test' },
    backoff: () => 0.05,
  });
  const stack = new AsyncDisposableStack();
  stack.defer(() => {
    redis.disconnect();
  });
  stack.defer(() => sql.end({ timeout: 1 }));
  return {
    redis,
    sql,
    stream,
    start: async (options = {}) =>
      stack.use(await startProcessor({ redisUrl, postgresUrl, stream, ...options })),
    expectStored: (sent, { parked = new Map(), timeoutMs } = {}) =>
      expectAllStored({ redis, sql, stream, sent, parked }, timeoutMs),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
