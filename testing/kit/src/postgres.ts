import { createDatabase, type TestDatabase } from './database.ts';
import { startSupervisor } from './supervisor.ts';
import { OwnServer } from './own-server.ts';
import {
  createPostgresCluster,
  fastSettings,
  startPostgresServer,
  type PostgresSettings,
} from './postgres-server.ts';
import { providedServers } from './provided-servers.ts';

/** A new database on the Postgres of the test run, dropped at the end: with migrations and Directus' tables, or `empty`. */
export async function startPostgres(options: { readonly empty?: boolean } = {}): Promise<TestDatabase> {
  const { postgresUrl, templateDatabase } = providedServers();
  return await createDatabase(postgresUrl, 'test', options.empty === true ? 'template1' : templateDatabase);
}

export type OwnPostgres = OwnServer;

export interface OwnPostgresOptions {
  /** Prepares the new database, for example `migrate` of `@app/migrate`. */
  readonly migrate?: (postgresUrl: string) => Promise<unknown>;
  /** Added to `fastSettings`, or overriding them. */
  readonly settings?: PostgresSettings;
}

/** A Postgres of one test's own, always on this machine. Takes about a second. */
export async function startOwnPostgres(options: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const cluster = await createPostgresCluster(supervisor);
  const settings = { ...fastSettings, ...options.settings };
  const { port, url, process } = await startPostgresServer(supervisor, cluster, { settings });
  await options.migrate?.(url);
  return new OwnServer({
    url,
    process,
    relaunch: async () => (await startPostgresServer(supervisor, cluster, { port, settings })).process,
    // Fast shutdown: connections are closed with 57P01, committed data is kept.
    stopSignal: 'SIGINT',
    resources: stack.move(),
  });
}
