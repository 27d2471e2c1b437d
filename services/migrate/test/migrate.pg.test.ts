import { copyFile, mkdtemp, readdir, rm, writeFile, appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@app/test-kit/eventually';
import { findFreePort } from '@app/test-kit/free-port';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import { PG_MIGRATE_LOCK_ID } from 'node-pg-migrate';
import postgres, { type Sql } from 'postgres';
import { expect, test } from 'vitest';
import { MigrateError } from '../src/migrate-error.ts';
import { migrate } from '../src/migrate.ts';

const migrations = fileURLToPath(new URL('../../../migrations', import.meta.url));
const names = (await readdir(migrations)).toSorted().map((file) => file.replace('.sql', ''));

function connect(url: string): Sql & AsyncDisposable {
  const sql = postgres(url, { max: 2, onnotice: () => undefined });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 0 }) });
}

/** A copy of migrations/ for a test to change. */
async function copyMigrations(): Promise<{ readonly folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  for (const file of await readdir(migrations)) await copyFile(join(migrations, file), join(folder, file));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('the first run applies every file in order, the second has nothing to do', async () => {
  await using database = await startPostgres({ empty: true });
  expect(await migrate(database.url)).toEqual(names);
  expect(await migrate(database.url)).toEqual([]);
});

test('of three concurrent runs one migrates and two have nothing to do', async () => {
  await using database = await startPostgres({ empty: true });
  const applied = await Promise.all([migrate(database.url), migrate(database.url), migrate(database.url)]);
  expect(applied.flat()).toEqual(names);
  expect(applied.filter((each) => each.length === 0)).toHaveLength(2);
});

test.each(['session', 'transaction'] as const)(
  'concurrent runs through PgBouncer in %s mode migrate once and leave nothing in the sessions of the server',
  async (poolMode) => {
    await using database = await startPostgres({ empty: true });
    await using pooler = await startPgBouncer({ target: database.url, poolMode });
    const lines: string[] = [];
    const run = () => migrate(pooler.url, { log: (line) => lines.push(line) });
    const applied = await Promise.all([run(), run(), run()]);
    expect(applied.flat()).toEqual(names);
    const others = lines.filter((line) => line !== 'another migration is running; waiting');
    expect(others).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/^Directus' tables do not/u)),
    );
    await using sql = connect(database.url);
    expect(
      await sql`
      select count(*)::int as locks from pg_locks
      where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    ).toEqual([{ locks: 0 }]);
    const pooled = postgres(pooler.url, { max: 1, fetch_types: false });
    expect(await pooled`select current_setting('lock_timeout') as timeout`.simple()).toEqual([
      { timeout: '0' },
    ]);
    await pooled.end();
  },
);

test('a pooler that does not know the database is refused at once', async () => {
  await using database = await startPostgres({ empty: true });
  await using pooler = await startPgBouncer({ target: database.url, poolMode: 'transaction' });
  const url = new URL(pooler.url);
  url.pathname = '/nothing';
  await expect(migrate(url.href)).rejects.toThrow(
    'Postgres refused the connection: no such database: nothing',
  );
});

test.each([
  ['positions', 'positions_device_ts_idx', []],
  ['positions_past_limit', 'positions_past_limit_device_id_ts_idx', ['ingested_at']],
])('%s has the documented columns and no other index, without extensions', async (table, index, others) => {
  await using database = await startPostgres({ empty: true });
  await migrate(database.url);
  await using sql = connect(database.url);
  const columns = await sql`
    select column_name || ' ' || data_type || case is_nullable when 'NO' then ' not null' else '' end as column,
      column_default as default
    from information_schema.columns where table_name = ${table} order by ordinal_position`;
  expect(columns.map((row) => [row['column'], row['default']])).toEqual([
    ['device_id text not null', null],
    ['ts timestamp with time zone not null', null],
    ['ingested_at timestamp with time zone not null', 'now()'],
    ['latitude double precision not null', null],
    ['longitude double precision not null', null],
    ['altitude real not null', null],
    ['angle real not null', null],
    ['speed real not null', null],
    ['satellites smallint not null', null],
    ['priority smallint not null', null],
    ['codec text not null', null],
    ['attributes jsonb not null', "'{}'::jsonb"],
    ['quality smallint not null', '0'],
    ['faulty boolean not null', 'false'],
  ]);
  const indexes = await sql`
    select indexdef from pg_indexes where tablename = ${table} order by indexdef like '%UNIQUE%' desc`;
  expect(indexes.map((row) => String(row['indexdef']))).toEqual([
    `CREATE UNIQUE INDEX ${index} ON public.${table} USING btree (device_id, ts DESC)`,
    ...others.map(
      (column) => `CREATE INDEX ${table}_${column}_idx ON public.${table} USING btree (${column})`,
    ),
  ]);
  expect(await sql`select positions_use_timescaledb() as used`).toEqual([{ used: false }]);
  await sql`select set_positions_retention(null)`;
  await expect(sql`select set_positions_retention('180 days')`).rejects.toThrow('positions is a plain table');
});

test('a file changed after it was applied is refused by name before anything runs', async () => {
  await using database = await startPostgres({ empty: true });
  await using copy = await copyMigrations();
  await migrate(database.url, { folder: copy.folder });
  await appendFile(join(copy.folder, `${names[0]}.sql`), '-- a change\n');
  await writeFile(join(copy.folder, '9000_next.sql'), 'create table next ();');
  const refused = migrate(database.url, { folder: copy.folder });
  await expect(refused).rejects.toThrow(MigrateError);
  await expect(refused).rejects.toThrow(/^Changed after it was applied to this database: 0001_positions\. /u);
  await using sql = connect(database.url);
  expect(await sql`select to_regclass('next') as next`).toEqual([{ next: null }]);
  await copyFile(join(migrations, `${names[0]}.sql`), join(copy.folder, `${names[0]}.sql`));
  expect(await migrate(database.url, { folder: copy.folder })).toEqual(['9000_next']);
});

test('a file with Windows line endings has the same checksum', async () => {
  await using database = await startPostgres({ empty: true });
  await using copy = await copyMigrations();
  await writeFile(join(copy.folder, '9000_lines.sql'), 'create table\n  lines ();\n');
  await migrate(database.url, { folder: copy.folder });
  await writeFile(join(copy.folder, '9000_lines.sql'), 'create table\r\n  lines ();\r\n');
  expect(await migrate(database.url, { folder: copy.folder })).toEqual([]);
});

test('a failed file rolls the whole run back and can be corrected', async () => {
  await using database = await startPostgres({ empty: true });
  await using copy = await copyMigrations();
  await writeFile(join(copy.folder, '9000_bad.sql'), 'create table half (); select 1 / 0;');
  const lines: string[] = [];
  await expect(
    migrate(database.url, { folder: copy.folder, log: (line) => lines.push(line) }),
  ).rejects.toThrow('division by zero');
  await using sql = connect(database.url);
  expect(await sql`select to_regclass('half') as half, to_regclass('positions') as positions`).toEqual([
    { half: null, positions: null },
  ]);
  await writeFile(join(copy.folder, '9000_bad.sql'), 'create table half ();');
  expect(await migrate(database.url, { folder: copy.folder })).toEqual([...names, '9000_bad']);
});

test('a database with newer migrations is left as it is', async () => {
  await using database = await startPostgres({ empty: true });
  await using copy = await copyMigrations();
  await writeFile(join(copy.folder, '9000_newer.sql'), 'create table newer ();');
  await migrate(database.url, { folder: copy.folder });
  expect(await migrate(database.url)).toEqual([]);
});

test.for(['README.md', '0001_again.sql', '4_short.sql', '0004_Upper.sql', '0004_note.js'])(
  'the folder must not hold %s',
  async (file) => {
    await using copy = await copyMigrations();
    await writeFile(join(copy.folder, file), 'select 1;');
    await expect(migrate('postgres://127.0.0.1:1/none', { folder: copy.folder })).rejects.toThrow(
      file === '0001_again.sql' ? 'has the number of another' : `${file} is not a migration`,
    );
  },
);

test('waits for Postgres to become ready', async () => {
  await using own = await startOwnPostgres();
  await own.stop();
  const lines: string[] = [];
  const migrating = migrate(own.url, { log: (line) => lines.push(line) });
  await eventually(() => lines[0]);
  expect(lines[0]).toMatch(/^Postgres is not ready \(connect ECONNREFUSED 127\.0\.0\.1:\d+\); waiting/u);
  await own.start();
  expect(await migrating).toEqual(names);
});

test('gives up on Postgres after the limit, without printing the password', async () => {
  const port = await findFreePort();
  const failing = migrate(`postgres://user:secret@127.0.0.1:${port}/live`, { connectWaitMs: 300 });
  await expect(failing).rejects.toThrow(/^Postgres is not ready after 0\.3 s: connect ECONNREFUSED/u);
  await expect(failing).rejects.not.toThrow('secret');
});

test('a wrong password and a missing database fail at once', async () => {
  await using database = await startPostgres({ empty: true });
  const wrongPassword = new URL(database.url);
  wrongPassword.password = 'wrong';
  const missingDatabase = new URL(database.url);
  missingDatabase.pathname = '/missing';
  await expect(migrate(wrongPassword.href)).rejects.toThrow(
    /^Postgres refused the connection: password authentication failed/u,
  );
  await expect(migrate(missingDatabase.href)).rejects.toThrow(
    /^Postgres refused the connection: database "missing" does not exist/u,
  );
});

test('waits for the migration lock up to the limit', async () => {
  await using database = await startPostgres({ empty: true });
  await using sql = connect(database.url);
  await using holder = await sql.reserve().then((reserved) => ({
    lock: () => reserved`select pg_advisory_lock(${PG_MIGRATE_LOCK_ID})`,
    [Symbol.asyncDispose]: async () => {
      await reserved`select pg_advisory_unlock_all()`;
      reserved.release();
    },
  }));
  await holder.lock();
  await expect(migrate(database.url, { lockWaitMs: 200 })).rejects.toThrow(
    /^Another migration has been running for more than 0\.2 s/u,
  );
});

test('an abort ends the wait for Postgres and for the lock at once', async () => {
  const stop = new AbortController();
  const waiting = migrate(`postgres://127.0.0.1:${await findFreePort()}/live`, { signal: stop.signal });
  stop.abort(new Error('stopped by hand'));
  await expect(waiting).rejects.toThrow('stopped by hand');

  await using database = await startPostgres({ empty: true });
  await using sql = connect(database.url);
  await sql.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock(${PG_MIGRATE_LOCK_ID})`;
    const stopLater = new AbortController();
    const lines: string[] = [];
    const locked = migrate(database.url, { signal: stopLater.signal, log: (line) => lines.push(line) });
    await eventually(() => lines.includes('another migration is running; waiting'));
    stopLater.abort(new Error('stopped again'));
    await expect(locked).rejects.toThrow('stopped again');
  });
  expect(await migrate(database.url)).toEqual(names);
});

test('a locked table fails the run after the limit, and the run can be repeated', async () => {
  await using database = await startPostgres();
  await using sql = connect(database.url);
  await using copy = await copyMigrations();
  await writeFile(join(copy.folder, '9000_column.sql'), 'alter table positions add column extra int;');
  await sql.begin(async (transaction) => {
    await transaction`lock table positions in access exclusive mode`;
    const running = migrate(database.url, { folder: copy.folder, tableLockMs: 200 });
    await expect(running).rejects.toThrow('canceling statement due to lock timeout');
  });
  expect(await migrate(database.url, { folder: copy.folder })).toEqual(['9000_column']);
});
