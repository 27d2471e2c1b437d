import { createDatabase, onServer, type TestDatabase } from './database.ts';
import { createDirectusTables } from './directus-tables.ts';
import { fastSettings } from './postgres-server.ts';
import type { TestServerAddresses } from './provided-servers.ts';
import { startServers, type Servers, type ServersOptions } from './servers.ts';

export interface TestServers extends Servers {
  readonly addresses: TestServerAddresses;
}

/**
 * The servers of one test run: Redis, and Postgres with a template database that has the migrations and Directus' tables.
 * `migrate` is an argument because its package is itself tested with this one.
 */
export async function startTestServers(
  options: ServersOptions & { readonly migrate: (postgresUrl: string) => Promise<unknown> },
): Promise<TestServers> {
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await startServers({ postgresSettings: fastSettings, ...options }));
  const template = stack.use(await createTemplate(servers.postgresUrl, options.migrate));
  const owned = stack.move();
  return {
    ...servers,
    addresses: {
      redisUrl: servers.redisUrl,
      postgresUrl: servers.postgresUrl,
      templateDatabase: template.name,
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function createTemplate(
  serverUrl: string,
  migrate: (postgresUrl: string) => Promise<unknown>,
): Promise<TestDatabase> {
  const database = await createDatabase(serverUrl, 'template');
  await migrate(database.url);
  await onServer(database.url, createDirectusTables);
  // A template must have no connections, and TimescaleDB's workers would open one.
  await onServer(serverUrl, async (admin) => {
    await admin`alter database ${admin(database.name)} with allow_connections false`;
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database.name}`;
  });
  return database;
}
