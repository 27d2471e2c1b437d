import { migrate } from '@app/migrate/migrate';
import { eventually } from '@app/test-kit/eventually';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { openWriter } from '../support/open-writer.ts';
import { refuseRows } from '../support/refuse-rows.ts';
import type { Fix } from '../../src/fix.ts';

const dayMs = 86_400_000;
const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;

function connect(url: string): postgres.Sql {
  const sql = postgres(url, { max: 2, onnotice: () => undefined });
  onTestFinished(() => sql.end());
  return sql;
}

async function openDatabase() {
  const database = await startPostgres();
  onTestFinished(() => database[Symbol.asyncDispose]());
  const sql = connect(database.url);
  return { url: database.url, sql };
}

async function storedCount(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
  return row?.n ?? -1;
}

/** A server with room for few locks, and `positions` in a partition a day, as a hypertable has chunks. */
async function openPartitioned(days: number) {
  const server = await startOwnPostgres({
    migrate,
    settings: { max_locks_per_transaction: '10', max_connections: '10', max_prepared_transactions: '0' },
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const sql = connect(server.url);
  await sql`alter table positions rename to one_table`;
  await sql`create table positions (like one_table including defaults) partition by range (ts)`;
  await sql`create unique index on positions (device_id, ts desc)`;
  const partitions = Array.from({ length: days }, (_, n) => {
    const [from, to] = [noon - n * dayMs, noon - (n - 1) * dayMs].map((ms) => new Date(ms).toISOString());
    return `create table day_${n} partition of positions for values from ('${from}') to ('${to}');`;
  });
  // A few at a time: a transaction has few locks as well.
  for (let n = 0; n < days; n += 20) await sql.unsafe(partitions.slice(n, n + 20).join('\n'));
  return { url: server.url, sql };
}

function oneFixADay(days: number): Fix[] {
  return Array.from({ length: days }, (_, n) => fix({ deviceId: `d${n % 7}`, fixAtMs: noon - n * dayMs }));
}

/** A session that holds all locks of the server but `free`. */
async function holdLocks(sql: postgres.Sql, free: number): Promise<postgres.ReservedSql> {
  const holder = await sql.reserve();
  // Ends with 53200; the locks that it got stay until they are released.
  await expect(
    holder`select count(pg_advisory_lock(n)) from generate_series(1, 100000) as n`,
  ).rejects.toMatchObject({ code: '53200' });
  await holder`select count(pg_advisory_unlock(n)) from generate_series(1, ${free}) as n`;
  return holder;
}

test('an insert that needs more locks than Postgres has (53200) is halved until it does not', async () => {
  const days = 80;
  const { url, sql } = await openPartitioned(days);
  await using at = openWriter(url);
  const holder = await holdLocks(sql, 120);
  const batch = oneFixADay(days);
  const { durable, refused } = await at.writer.write(batch, never);
  holder.release();
  expect(durable).toEqual(batch);
  expect(refused).toEqual([]);
  expect(await at.metric('processor_position_writes_total', { status: 'inserted' })).toBe(days);
  expect(await at.metric('processor_write_retries_total', { class: '53' })).toBeGreaterThan(0);
  expect(at.lines).toContainEqual(
    expect.objectContaining({
      msg: 'insert failed; retrying',
      error: expect.objectContaining({ message: expect.stringContaining('raise max_locks_per_transaction') }),
    }),
  );
});

test('a single row waits while other sessions hold all locks (53200), with the reason', async () => {
  const { url, sql } = await openPartitioned(1);
  await using at = openWriter(url);
  const holder = await holdLocks(sql, 0);
  const writing = at.writer.write(oneFixADay(1), never);
  await eventually(() => at.retries() >= 2);
  expect(at.runner.retryReason).toBe('53200');
  await holder`select pg_advisory_unlock_all()`;
  holder.release();
  expect((await writing).durable).toHaveLength(1);
});

test('an insert that exceeds a limit of the configuration (53400) is halved until it does not', async () => {
  const { url, sql } = await openDatabase();
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  await sql.unsafe(`alter database ${row?.name} set work_mem = '64kB'`);
  await sql.unsafe(`alter database ${row?.name} set temp_file_limit = '64kB'`);
  await using at = openWriter(url);
  const attributes = { '1': 'x'.repeat(500) };
  const batch = Array.from({ length: 1000 }, (_, n) => fix({ fixAtMs: noon + n, attributes }));
  const { durable, refused } = await at.writer.write(batch, never);
  expect(durable).toEqual(batch);
  expect(refused).toEqual([]);
  expect(await storedCount(sql)).toBe(1000);
  expect(await at.metric('processor_write_retries_total', { class: '53' })).toBeGreaterThan(0);
});

test('a single row that keeps exceeding a limit (53400) is retried, and then fatal with what to change', async () => {
  const { url, sql } = await openDatabase();
  await refuseRows(sql, '*', '53400');
  await using at = openWriter(url, { permanentErrorLimitMs: 300 });
  await expect(at.writer.write([fix(), fix({ deviceId: 'b' })], never)).rejects.toThrow(
    'A limit of Postgres is too low for a single row: raise the one that its log names',
  );
  expect(at.retries()).toBeGreaterThan(1);
  expect(at.runner.retryReason).toBeUndefined();
});

test('a missing right is fatal at once, with what to grant', async () => {
  const { url, sql } = await openDatabase();
  await sql`create role nobody_special login password 'of-this-test'`;
  onTestFinished(async () => {
    await sql`drop role nobody_special`;
  });
  const own = new URL(url);
  own.username = 'nobody_special';
  own.password = 'of-this-test';
  await using at = openWriter(own.href);
  await expect(at.writer.write([fix()], never)).rejects.toThrow(
    "The processor's Postgres role lacks a right on positions or positions_past_limit: run the migration job, or as the owner: select grant_least_rights()",
  );
  expect(await at.statements()).toBe(1);
});
