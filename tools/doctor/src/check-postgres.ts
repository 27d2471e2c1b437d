import { readMigrationFiles } from '@app/migrate/checksums';
import { fileURLToPath } from 'node:url';
import type { Reading } from './connect.ts';
import { failed, note, ok, type Finding } from './finding.ts';

const migrationsFolder = fileURLToPath(new URL('../../../migrations', import.meta.url));
/** The major versions that the tests run with. */
const testedVersions: ReadonlySet<number> = new Set([17, 18]);

/** Version, role and migrations of the Postgres server, and whether `positions` is a hypertable. */
export async function checkPostgres(read: Reading): Promise<readonly Finding[]> {
  return [
    await checkVersion(read),
    await checkPrimary(read),
    await checkMigrations(read),
    await checkTimescale(read),
  ];
}

async function checkVersion(read: Reading): Promise<Finding> {
  const [row] = await read(
    (sql) => sql<{ version: string }[]>`select current_setting('server_version') as version`,
  );
  const version = row?.version ?? 'unknown';
  return testedVersions.has(Number.parseInt(version, 10))
    ? ok('version', `PostgreSQL ${version}`)
    : note('version', `PostgreSQL ${version}`, `Tested with ${[...testedVersions].join(' and ')}`);
}

async function checkPrimary(read: Reading): Promise<Finding> {
  const [row] = await read(
    (sql) => sql<{ isReadOnly: boolean }[]>`
      select pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as "isReadOnly"`,
  );
  return row?.isReadOnly === false
    ? ok('role', 'primary')
    : failed('role', 'read-only', 'Let POSTGRES_URL name the primary: fixes cannot be stored on a replica');
}

async function checkMigrations(read: Reading): Promise<Finding> {
  const check = 'migrations';
  const files = await readMigrationFiles(migrationsFolder);
  const [table] = await read(
    (sql) => sql<{ exists: boolean }[]>`select to_regclass('public.pgmigrations') is not null as exists`,
  );
  const applied =
    table?.exists === true
      ? await read((sql) => sql<{ name: string }[]>`select name from public.pgmigrations`)
      : [];
  const names = new Set(applied.map(({ name }) => name));
  const pending = files.filter(({ name }) => !names.has(name));
  if (pending.length > 0) {
    return failed(check, `not applied: ${pending.map(({ name }) => name).join(', ')}`, './run migrate');
  }
  const ahead = names.size - files.length;
  return ahead === 0
    ? ok(check, `all ${files.length} applied`)
    : note(check, `all ${files.length} applied, and ${ahead} of a newer version`);
}

async function checkTimescale(read: Reading): Promise<Finding> {
  const check = 'TimescaleDB';
  const [row] = await read(
    (sql) => sql<{ installed: string | null; available: string | null }[]>`
      select (select extversion from pg_extension where extname = 'timescaledb') as installed,
             (select default_version from pg_available_extensions where name = 'timescaledb') as available`,
  );
  const installed = row?.installed ?? undefined;
  if (installed === undefined) {
    return (row?.available ?? undefined) === undefined
      ? note(check, 'not on this server: positions is a plain table')
      : note(check, 'available and not used', 'select positions_use_timescaledb()');
  }
  const [hypertable] = await read(
    (sql) => sql`select from timescaledb_information.hypertables where hypertable_name = 'positions'`,
  );
  return hypertable === undefined
    ? note(check, `${installed}, but positions is a plain table`, 'select positions_use_timescaledb()')
    : ok(check, installed);
}
