import { fileURLToPath } from 'node:url';
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import { connectWhenReady } from './connect-when-ready.ts';
import { checkAgainstApplied, readMigrationFiles } from './checksums.ts';
import { createLoginRole, type Login } from './create-login-role.ts';
import { MigrateError } from './migrate-error.ts';

export interface MigrateOptions {
  /** Aborting it cuts the connection at once. */
  readonly signal?: AbortSignal;
  /** Called with progress and warnings of the database, one line each. */
  readonly log?: (line: string) => void;
  /** Login roles to create or update. Default: none. */
  readonly logins?: readonly Login[];
  /** Folder of the numbered SQL files. Default: migrations/ of this repository. */
  readonly folder?: string;
  /** Maximum wait for Postgres to become ready. Default 60 000. */
  readonly connectWaitMs?: number;
  /** Maximum wait for a concurrent migration. Default 120 000. */
  readonly lockWaitMs?: number;
  /** Maximum wait of a statement for a table lock, behind which other queries queue. Default 10 000. */
  readonly tableLockMs?: number;
}

/** Those of `grant_least_rights()`. */
const directusTables = ['events', 'entries', 'entry_devices', 'devices', 'directus_users'];

/** Of the runner's BEGIN within our transaction, and of our COMMIT after its own. */
const transactionWarnings: ReadonlySet<string> = new Set(['25001', '25P01']);

/**
 * Applies the pending migrations in order in one transaction and returns their names. Concurrent runs are safe: an advisory
 * lock lets one migrate while the others wait. Lock and settings belong to the transaction, since a pooler may give each
 * transaction another session. Applied files are first compared by checksum and must not have changed. A
 * database with newer migrations is left as it is, since an older image meets one after a rollback.
 *
 * @throws {MigrateError} if Postgres is not ready in time, the lock is not free, or an applied file has changed.
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
  client.on('notice', (notice) => {
    // INFO ignores client_min_messages; TimescaleDB reports with it that it was loaded.
    if (notice.severity === 'INFO' || transactionWarnings.has(notice.code ?? '')) return;
    log(
      `${notice.severity ?? 'NOTICE'}: ${notice.message ?? ''}${notice.hint === undefined ? '' : ` (${notice.hint})`}`,
    );
  });
  const begin = async (): Promise<void> => {
    await client.query("begin; set local client_min_messages = 'warning'");
    await takeLock(client, lockWaitMs, log);
    await client.query(`set local lock_timeout = ${tableLockMs}`);
  };
  try {
    await begin();
    await checkAgainstApplied(client, files);
    const applied = await runner({
      dbClient: client,
      dir: folder,
      direction: 'up',
      migrationsTable: 'pgmigrations',
      // Documented as the default, but without it each file is committed separately.
      singleTransaction: true,
      // Its lock would be the session's; our transaction holds the same one.
      noLock: true,
      logger: { info: () => undefined, warn: log, error: log },
    });
    // The runner commits only if it has applied something.
    await client.query('commit');
    await begin();
    await grantRights(client, log);
    for (const login of logins) await createLoginRole(client, login);
    await client.query('commit');
    return applied.map((migration) => migration.name);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** On every run, since Directus' tables may have been created, or a role lost by a restore, in between. */
async function grantRights(client: Client, log: (line: string) => void): Promise<void> {
  for (const grant of ['grant_least_rights()', 'grant_prune_rights()']) {
    const { rows } = await client.query<{ exists: boolean }>(
      'select to_regprocedure($1) is not null as exists',
      [grant],
    );
    // Other migration folders may not have the function.
    if (rows[0]?.exists !== true) continue;
    await client.query(`select ${grant}`);
    if (grant === 'grant_least_rights()') await reportMissingTables(client, log);
  }
}

/** A right on a table that comes later has to be granted later. */
async function reportMissingTables(client: Client, log: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ table: string }>(
    'select "table" from unnest($1::text[]) as "table" where to_regclass("table") is null',
    [directusTables],
  );
  if (rows.length === 0) return;
  const missing = rows.map(({ table }) => table).join(', ');
  log(
    `Directus' tables do not exist yet (${missing}): the gateway may not read them. Run this again after they do`,
  );
}

async function takeLock(client: Client, waitMs: number, log: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(
    `select pg_try_advisory_xact_lock(${PG_MIGRATE_LOCK_ID}) as taken`,
  );
  if (rows[0]?.taken === true) return;
  log('another migration is running; waiting');
  await client.query(`set local lock_timeout = ${waitMs}`);
  try {
    await client.query(`select pg_advisory_xact_lock(${PG_MIGRATE_LOCK_ID})`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === '55P03')) throw error;
    throw new MigrateError(
      `Another migration has been running for more than ${waitMs / 1000} s. ` +
        "If it hangs, find it: select pid, query from pg_stat_activity join pg_locks using (pid) where locktype = 'advisory'",
      { cause: error },
    );
  }
}
