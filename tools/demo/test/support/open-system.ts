import { startList } from '@app/fleet-sim/start-list';
import { providedServers } from '@app/test-kit/provided-servers';
import { openServerFixture } from '@app/test-kit/server-fixture';
import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import { startSystem, type System, type SystemOptions } from '../../src/system.ts';

export interface OpenSystem extends AsyncDisposable {
  readonly system: System;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
}

/** A whole system on the run's servers, with a connection to each. */
export async function openSystem({
  imeis,
  settings,
}: Pick<SystemOptions, 'settings'> & { readonly imeis: readonly string[] }): Promise<OpenSystem> {
  await using stack = new AsyncDisposableStack();
  const { redisUrl, postgresUrl } = providedServers();
  const { signal } = new AbortController();
  const entries = startList(
    imeis.map((imei) => [imei]),
    0,
  );
  const given = settings === undefined ? {} : { settings };
  const system = stack.use(
    await startSystem({ redisUrl, postgresUrl, signal, entries, startAtMs: Date.now(), ...given }),
  );
  const { redis, sql } = stack.use(await openServerFixture({ redisUrl, postgresUrl: system.databaseUrl }));
  const owned = stack.move();
  return { system, redis, sql, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
