import { startTimescale, type TestTimescale } from '@app/test-kit/timescale';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectWhenReady } from '../src/connect-when-ready.ts';
import { migrate } from '../src/migrate.ts';
import { prune } from '../src/prune/prune.ts';

function connect(url: string): Sql & AsyncDisposable {
  // The WebAssembly build supports only one connection.
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) });
}

function ignore(): void {
  // The progress of a run.
}

async function insertFix(sql: Sql, deviceId: string, daysAgo: number): Promise<number> {
  const { count } = await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    values (${deviceId}, date_trunc('day', now()) - make_interval(days => ${daysAgo}), 48.1, 11.5, 520, 90, 54.5, 9, 0, '8E')
    on conflict (device_id, ts) do nothing`;
  return count;
}

async function runPolicy(sql: Sql, procedure: string): Promise<void> {
  const [job] = await sql<{ id: number }[]>`
    select job_id as id from timescaledb_information.jobs where proc_name = ${procedure} and hypertable_name = 'positions'`;
  await sql`call run_job(${job?.id ?? 0})`;
}

// Of all tests that need a migrated one: to start it and to migrate takes longer than most of them.
let timescale: TestTimescale;
let applied: readonly (readonly string[])[];

beforeAll(async () => {
  timescale = await startTimescale();
  applied = await Promise.all([migrate(timescale.url), migrate(timescale.url), migrate(timescale.url)]);
}, 240_000);

afterAll(() => timescale[Symbol.asyncDispose]());

beforeEach(async () => {
  await using sql = connect(timescale.url);
  // The WebAssembly build has a single session.
  await sql`reset role`;
  await sql`truncate positions, positions_past_limit, faulty_marks, faulty_changes`;
});

test('three concurrent runs create one hypertable with one index and its policies', async () => {
  expect(applied.flat()).not.toEqual([]);
  expect(applied.filter((names) => names.length === 0)).toHaveLength(2);
  expect(await migrate(timescale.url)).toEqual([]);

  await using sql = connect(timescale.url);
  expect(
    await sql`
      select column_name as column, time_interval::text as interval
      from timescaledb_information.dimensions where hypertable_name = 'positions'`,
  ).toEqual([{ column: 'ts', interval: '1 day' }]);
  expect(
    await sql`
      select segmentby, orderby from timescaledb_information.hypertable_columnstore_settings
      where hypertable = 'positions'::regclass`,
  ).toEqual([{ segmentby: 'device_id', orderby: 'ts DESC' }]);
  expect(
    await sql`
      select proc_name as policy, config ->> 'compress_after' as after
      from timescaledb_information.jobs where hypertable_name = 'positions'`,
  ).toEqual([{ policy: expect.stringMatching(/^policy_(compression|columnstore)$/u), after: '7 days' }]);

  // Its days are no chunks.
  expect(await sql`select hypertable_name as name from timescaledb_information.hypertables`).toEqual([
    { name: 'positions' },
  ]);
  expect(await sql`select from pg_class where relname = 'positions_past_limit'`).toHaveLength(1);
  await insertFix(sql, 'imei-1', 0);
  const indexes = await sql`
    select indexdef from pg_indexes where tablename ~ '^(positions$|_hyper_)'`;
  expect(indexes.map((row) => /\(.*\)/.exec(String(row['indexdef']))?.[0])).toEqual([
    '(device_id, ts DESC)',
    '(device_id, ts DESC)',
  ]);
});

test('the services have the same rights on a hypertable as on a table', async () => {
  await using sql = connect(timescale.url);
  await sql`set role tracking_processor`;
  expect(await insertFix(sql, 'imei-1', 0)).toBe(1);
  expect(await insertFix(sql, 'imei-1', 3)).toBe(1);
  expect(await insertFix(sql, 'imei-1', 3)).toBe(0);
  await expect(sql`delete from positions`).rejects.toMatchObject({ code: '42501' });
  await sql`set role tracking_gateway`;
  expect(await sql`select from positions`).toHaveLength(2);
  await expect(insertFix(sql, 'imei-1', 5)).rejects.toMatchObject({ code: '42501' });
  await sql`reset role`;
});

test('a fix is stored once, before and after its chunk is compressed', async () => {
  await using sql = connect(timescale.url);
  expect(await insertFix(sql, 'imei-1', 0)).toBe(1);
  expect(await insertFix(sql, 'imei-1', 30)).toBe(1);
  expect(await insertFix(sql, 'imei-1', 30)).toBe(0);

  await runPolicy(sql, 'policy_compression');
  const chunks = await sql`
    select is_compressed as compressed from timescaledb_information.chunks
    where hypertable_name = 'positions' order by range_start`;
  expect(chunks).toEqual([{ compressed: true }, { compressed: false }]);

  expect(await insertFix(sql, 'imei-1', 30)).toBe(0);
  expect(await insertFix(sql, 'imei-2', 30)).toBe(1);
  expect(await insertFix(sql, 'imei-2', 30)).toBe(0);
  expect(await sql`select device_id, latitude from positions order by ts, device_id`).toEqual([
    { device_id: 'imei-1', latitude: 48.1 },
    { device_id: 'imei-2', latitude: 48.1 },
    { device_id: 'imei-1', latitude: 48.1 },
  ]);
});

test('marks as faulty are noted on a hypertable, in compressed chunks too', async () => {
  await using sql = connect(timescale.url);
  await insertFix(sql, 'imei-1', 0);
  await insertFix(sql, 'imei-1', 30);
  await runPolicy(sql, 'policy_compression');
  await sql`update positions set faulty = true`;
  await sql`update positions set faulty = true`;
  await sql`update positions set faulty = false where ts < now() - interval '7 days'`;
  const noted = await sql`
    select device_id as device, (extract(day from date_trunc('day', now()) - fix_at))::int as age from faulty_changes
    order by age, id`;
  expect(noted).toEqual([
    { device: 'imei-1', age: 0 },
    { device: 'imei-1', age: 30 },
    { device: 'imei-1', age: 30 },
  ]);
});

test('marks of ranges are set and removed in compressed chunks too, whatever their number of fixes', async () => {
  await using sql = connect(timescale.url);
  await sql`create table devices (id uuid primary key, imei text)`;
  await sql`insert into devices values (gen_random_uuid(), 'imei-1')`;
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    select 'imei-1', timestamptz '2026-01-01Z' + n * interval '1 hour', 1, 1, 1, 1, 1, 1, 1, '8'
      from generate_series(0, 24) as n`;
  await runPolicy(sql, 'policy_compression');
  // 100,000 by default: fewer than a day of a tracker may have.
  await sql`set timescaledb.max_tuples_decompressed_per_dml_transaction = 1`;
  await sql`
    insert into faulty_marks (device_id, from_at, until_at, reason)
    select id, '2026-01-01Z', '2026-01-02Z', 'a test' from devices`;
  expect(await sql`select fixes, problem from faulty_marks`).toEqual([{ fixes: 25, problem: null }]);
  expect(await sql`select from positions where not faulty`).toEqual([]);
  // Stored in a compressed chunk.
  await sql`delete from faulty_changes`;
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, faulty)
    values ('imei-1', '2026-01-01 00:00:00.1Z', 1, 1, 1, 1, 1, 1, 1, '8', true)`;
  expect(await sql`select device_id from faulty_changes`).toEqual([{ device_id: 'imei-1' }]);
  await sql`delete from faulty_marks`;
  expect(await sql`select from positions where faulty`).toEqual([]);
});

test('positions are kept unless a retention is set; it can be changed and removed', async () => {
  await using sql = connect(timescale.url);
  const retention = async (): Promise<unknown> =>
    await sql`select config ->> 'drop_after' as keep from timescaledb_information.jobs
      where proc_name = 'policy_retention' and hypertable_name = 'positions'`;
  expect(await retention()).toEqual([]);
  await sql`select set_positions_retention('90 days')`;
  await sql`select set_positions_retention('20 days')`;
  expect(await retention()).toEqual([{ keep: '20 days' }]);

  await insertFix(sql, 'imei-1', 0);
  await insertFix(sql, 'imei-1', 30);
  await runPolicy(sql, 'policy_retention');
  expect(await sql`select from positions`).toHaveLength(1);

  await sql`select set_positions_retention(null)`;
  expect(await retention()).toEqual([]);
  await expect(sql`select set_positions_retention('0')`).rejects.toThrow('longer than');
});

test('old chunks are dropped in steps by the prune job', async () => {
  {
    await using sql = connect(timescale.url);
    await sql`
      insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
      select 'a', date_trunc('day', now()) - make_interval(days => day), 1, 1, 1, 1, 1, 1, 1, '8'
      from generate_series(0, 60) as day`;
    await sql`
      insert into positions_past_limit
        (device_id, ts, ingested_at, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
      select 'a', '1970-01-01', now() - interval '31 days', 1, 1, 1, 1, 1, 1, 1, '8'`;
  }
  const { signal } = new AbortController();
  {
    await using connection = await connectWhenReady(timescale.url, { signal, log: ignore, waitMs: 10_000 });
    const options = { keepDays: 30, signal, log: ignore, maxChunks: 7, pauseMs: 0 };
    expect(await prune(connection.client, { ...options, maxMs: 0 })).toEqual({
      what: 'chunks',
      count: 7,
      pastLimitRows: 0,
      isDone: false,
    });
    expect(await prune(connection.client, { ...options, maxMs: 60_000 })).toMatchObject({
      pastLimitRows: 1,
      isDone: true,
    });
  }
  await using sql = connect(timescale.url);
  const [kept] = await sql`
    select count(*)::int as positions, min(ts) > now() - interval '32 days' as young,
           (select count(*)::int from timescaledb_information.chunks where hypertable_name = 'positions') as chunks
    from positions`;
  expect(kept).toEqual({ positions: 31, young: true, chunks: 31 });
});

test('a database without TimescaleDB gets instructions, and keeps its rows when it is converted later', async () => {
  await using plain = await startTimescale({ from: 'WebAssembly' });
  {
    await using sql = connect(plain.url);
    // As on a server that has the library but does not load it. The WebAssembly build has a single session.
    await sql`reset timescaledb.disable_load`;
  }
  const lines: string[] = [];
  await migrate(plain.url, { log: (line) => lines.push(line) });
  expect(lines).toEqual([
    expect.stringMatching(
      /^WARNING: TimescaleDB is installed but not loaded: .* \(Add timescaledb to shared_preload_/u,
    ),
    expect.stringMatching(/^Directus' tables do not exist yet/u),
  ]);

  await using sql = connect(plain.url);
  await insertFix(sql, 'imei-1', 0);
  await insertFix(sql, 'imei-1', 1);
  await sql`set timescaledb.disable_load = 'off'`;
  expect(await sql`select positions_use_timescaledb() as used`).toEqual([{ used: true }]);
  expect(await sql`select positions_use_timescaledb() as used`).toEqual([{ used: true }]);
  expect(await sql`select from positions`).toHaveLength(2);
  expect(
    await sql`select from timescaledb_information.chunks where hypertable_name = 'positions'`,
  ).toHaveLength(2);
  await sql`update positions set faulty = true`;
  expect(await sql`select from faulty_changes`).toHaveLength(2);
});

test('without the right to create the extension the table stays plain, and the run prints instructions', async () => {
  await using plain = await startTimescale({ from: 'WebAssembly' });
  {
    await using sql = connect(plain.url);
    await sql`create role plain login`;
    await sql`grant all on schema public to plain`;
    await sql`set role plain`;
  }
  const lines: string[] = [];
  await migrate(plain.url, { log: (line) => lines.push(line) });
  expect(lines).toEqual([
    expect.stringMatching(
      /^WARNING: The role plain may not create the extension timescaledb: .* \(As a superuser: /u,
    ),
    expect.stringMatching(/^WARNING: The role plain may not create the role tracking_pruner \(/u),
    expect.stringMatching(/^WARNING: The role plain may not create the role tracking_processor \(/u),
    expect.stringMatching(/^WARNING: The role plain may not create the role tracking_directus/u),
    expect.stringMatching(/^Directus' tables do not exist yet/u),
    expect.stringMatching(/^WARNING: The role plain may not create the role tracking_pruner \(As one /u),
  ]);
  await using sql = connect(plain.url);
  expect(await insertFix(sql, 'imei-1', 0)).toBe(1);
  await sql`reset role`;
  await sql`create extension timescaledb`;
  await sql`set role plain`;
  expect(await sql`select positions_use_timescaledb() as used`).toEqual([{ used: true }]);
  expect(await sql`select from positions`).toHaveLength(1);
});
