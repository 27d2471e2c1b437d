import { fileURLToPath } from 'node:url';
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import { connectWhenReady } from './connect-when-ready.ts';
import { checkAgainstApplied, readMigrationFiles } from './checksums.ts';
import { createLoginRole, type Login } from './create-login-role.ts';
import { MigrateError } from './migrate-error.ts';

export interface MigrateOptions {
  /** Gives up, and closes the connection, at once. */
  readonly signal?: AbortSignal;
  /** Hears in one line each what is done, and the warnings of the database. */
  readonly log?: (line: string) => void;
  /** Who may log in when all is applied; none are made or changed unless given. */
  readonly logins?: readonly Login[];
  /** Where the numbered SQL files are. Default: migrations/ of this repository. */
  readonly folder?: string;
  /** How long to wait for a Postgres that is not there yet. Default 60 000. */
  readonly connectWaitMs?: number;
  /** How long to wait while someone else migrates. Default 120 000. */
  readonly lockWaitMs?: number;
  /** How long a statement waits for a table in use: all others queue behind it. Default 10 000. */
  readonly tableLockMs?: number;
}

/**
 * Applies the files of migrations/ that this database has not had, in the order of their numbers, all in
 * one transaction, and returns their names.
 *
 * Several at once are harmless: an advisory lock lets one work while the others wait, and then have nothing
 * to do. Files once applied must not change, and are compared by checksum first. A database that is ahead of
 * these files is let be: it is what an older image meets after a roll-back.
 *
 * @throws {MigrateError} when Postgres does not come, the lock does not, or an applied file has changed.
 */
export async function migrate(postgresUrl: string, options: MigrateOptions = {}): Promise<readonly string[]> {
  const {
    signal = new AbortController().signal,
    log = () => undefined,
    logins = [],
    folder = fileURLToPath(new URL('../../../migrations', import.meta.url)),
    connectWaitMs = 60_000,
    lockWaitMs = 120_000,
    tableLockMs = 10_000,
  } = options;
  const files = await readMigrationFiles(folder);
  await using connection = await connectWhenReady(postgresUrl, { signal, log, waitMs: connectWaitMs });
  const { client } = connection;
  await client.query("set client_min_messages = 'warning'");
  client.on('notice', (notice) => {
    // INFO comes whatever the setting: TimescaleDB says so that it is loaded.
    if (notice.severity === 'INFO') return;
    log(
      `${notice.severity ?? 'NOTICE'}: ${notice.message ?? ''}${notice.hint === undefined ? '' : ` (${notice.hint})`}`,
    );
  });
  try {
    await takeLock(client, lockWaitMs, log);
    await client.query(`set lock_timeout = ${tableLockMs}`);
    await checkAgainstApplied(client, files);
    const applied = await runner({
      dbClient: client,
      dir: folder,
      direction: 'up',
      migrationsTable: 'pgmigrations',
      // Its documentation says that this is the default; without it each file is committed by itself.
      singleTransaction: true,
      // Held by this session already; a session may take it twice, and so no other tool of this kind gets in.
      advisoryLockMode: 'wait',
      logger: { info: () => undefined, warn: log, error: log },
    });
    await grantRights(client);
    for (const login of logins) await createLoginRole(client, login);
    return applied.map((migration) => migration.name);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** At each run, because Directus' tables may have come since the last one. */
async function grantRights(client: Client): Promise<void> {
  const { rows } = await client.query<{ known: boolean }>(
    "select to_regprocedure('grant_least_rights()') is not null as known",
  );
  // A folder of other migrations has no such function.
  if (rows[0]?.known === true) await client.query('select grant_least_rights()');
}

async function takeLock(client: Client, waitMs: number, log: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(
    `select pg_try_advisory_lock(${PG_MIGRATE_LOCK_ID}) as taken`,
  );
  if (rows[0]?.taken === true) return;
  log('someone else is migrating this database: waiting');
  await client.query(`set lock_timeout = ${waitMs}`);
  try {
    await client.query(`select pg_advisory_lock(${PG_MIGRATE_LOCK_ID})`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '55P03')) throw error;
    throw new MigrateError(
      `Someone else has been migrating this database for more than ${waitMs} ms. ` +
        "If it hangs: select pid, query from pg_stat_activity join pg_locks using (pid) where locktype = 'advisory'",
      { cause: error },
    );
  }
}
