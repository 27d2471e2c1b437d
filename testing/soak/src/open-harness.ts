import { migrate } from '@app/migrate/migrate';
import { refuseRows } from '@app/processor/testing/refuse-rows';
import { type FaultyNetwork, startFaultyNetwork } from '@app/test-kit/faulty-network';
import { type OwnPostgres, startOwnPostgres } from '@app/test-kit/postgres';
import { type OwnRedis, startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { refusedDevices } from './load.ts';
import { Replicas } from './replicas.ts';

/** Own servers, processors that reach them through faulty networks, and connections that bypass those networks. */
export interface SoakHarness extends AsyncDisposable {
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly stream: string;
  readonly ownRedis: OwnRedis;
  readonly ownPostgres: OwnPostgres;
  readonly toRedis: FaultyNetwork;
  readonly toPostgres: FaultyNetwork;
  readonly replicas: Replicas;
}

export const group = 'processor';

/** @param preload a module that each processor loads before its own code. */
export async function openHarness(preload?: URL): Promise<SoakHarness> {
  await using stack = new AsyncDisposableStack();
  const ownRedis = stack.use(await startOwnRedis());
  const ownPostgres = stack.use(await startOwnPostgres({ migrate }));
  const toRedis = stack.use(await startFaultyNetwork({ target: ownRedis.url }));
  const toPostgres = stack.use(await startFaultyNetwork({ target: ownPostgres.url }));
  const stream = 'telemetry:soak';

  // A command in flight when Redis ends is rejected: the caller decides whether to send it again.
  const redis = new Redis(ownRedis.url, {
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: 3000,
    retryStrategy: () => 50,
  });
  redis.on('error', () => undefined);
  stack.defer(() => redis.disconnect());
  const sql = postgres(ownPostgres.url, { max: 2, onnotice: () => undefined, backoff: () => 0.05 });
  stack.defer(() => sql.end({ timeout: 1 }));
  for (const [device, state] of Object.entries(refusedDevices)) await refuseRows(sql, device, state);

  const replicas = stack.use(
    new Replicas({
      redisUrl: toRedis.through(ownRedis.url),
      postgresUrl: toPostgres.through(ownPostgres.url),
      stream,
      ...(preload !== undefined && { preload }),
    }),
  );
  const owned = stack.move();
  return {
    redis,
    sql,
    stream,
    ownRedis,
    ownPostgres,
    toRedis,
    toPostgres,
    replicas,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
