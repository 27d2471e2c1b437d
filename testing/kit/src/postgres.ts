import { createDatabase, type TestDatabase } from './database.ts';
import { startSupervisor } from './supervisor.ts';
import { Lifecycle, type OwnServer } from './own-server.ts';
import {
  createPostgresCluster,
  fastSettings,
  startPostgresServer,
  type PostgresSettings,
} from './postgres-server.ts';
import { providedServers } from './provided-servers.ts';

/**
 * A database of the test file's own on the run's Postgres, dropped at the end: with our migrations and
 * Directus' tables, or `empty`.
 */
export async function startPostgres(options: { readonly empty?: boolean } = {}): Promise<TestDatabase> {
  const { postgresUrl, templateDatabase } = providedServers();
  return await createDatabase(postgresUrl, 'test', options.empty === true ? 'template1' : templateDatabase);
}

export type OwnPostgres = OwnServer;

export interface OwnPostgresOptions {
  /** Fills the new database, once: `@app/migrate`'s `migrate`, for one. */
  readonly migrate?: (postgresUrl: string) => Promise<unknown>;
  /** Beside those of `fastSettings`, or against them. */
  readonly settings?: PostgresSettings;
}

/** A Postgres of one test's own, always on this machine. Takes about a second. */
export async function startOwnPostgres(options: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const cluster = await createPostgresCluster(supervisor);
  const settings = { ...fastSettings, ...options.settings };
  const { port, url, process: first } = await startPostgresServer(supervisor, cluster, { settings });
  await options.migrate?.(url);
  const life = new Lifecycle({
    first,
    launch: async () => (await startPostgresServer(supervisor, cluster, { port, settings })).process,
    // "Fast": connections are ended with 57P01, what is committed is kept.
    stopSignal: 'SIGINT',
  });
  const owned = stack.move();
  return {
    url,
    port,
    stop: () => life.stop(),
    kill: () => life.kill(),
    start: () => life.start(),
    pause: () => {
      life.pause();
    },
    resume: () => {
      life.resume();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
