import { providedServers } from '@app/test-kit/provided-servers';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { startSystem, type System, type SystemOptions } from '../../src/system.ts';

export interface OpenSystem extends AsyncDisposable {
  readonly system: System;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
}

/** A whole system on the run's servers, with connections to look inside. */
export async function openSystem(options: Pick<SystemOptions, 'imeis' | 'settings'>): Promise<OpenSystem> {
  await using stack = new AsyncDisposableStack();
  const { redisUrl, postgresUrl } = providedServers();
  const { signal } = new AbortController();
  const system = stack.use(await startSystem({ redisUrl, postgresUrl, signal, ...options }));
  const redis = stack.adopt(new Redis(redisUrl), (client) => client.disconnect());
  const sql = stack.adopt(postgres(system.databaseUrl, { max: 2 }), (client) => client.end());
  const owned = stack.move();
  return { system, redis, sql, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
