import { readFile } from 'node:fs/promises';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { migrate } from '../src/migrate.ts';

const resultTables = [
  'classification',
  'incidents',
  'passings',
  'stage_results',
  'waypoint_results',
  'zone_episodes',
];

async function openDatabase(options: { readonly empty?: boolean } = {}) {
  const database = await startPostgres(options);
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  onTestFinished(async () => {
    await sql.end({ timeout: 0 });
    await database[Symbol.asyncDispose]();
  });
  return { url: database.url, sql };
}

test('every table of results has a key, what it is about, how it was found and an index by event and entry', async () => {
  const { sql } = await openDatabase();
  const common = await sql<{ table: string; columns: string }[]>`
    select table_name as table, string_agg(column_name || ' ' || data_type, ', ' order by column_name) as columns
      from information_schema.columns
     where table_name = any (string_to_array(${resultTables.join(',')}, ','))
       and column_name in ('key', 'event_id', 'entry_id', 'rule', 'rule_version', 'confidence', 'is_decided', 'computed_at')
     group by table_name order by table_name`;
  const columns =
    'computed_at timestamp with time zone, confidence text, entry_id uuid, event_id uuid, is_decided boolean, ' +
    'key text, rule text, rule_version integer';
  expect([...common]).toEqual(resultTables.map((table) => ({ table, columns })));
  const indexes = await sql<{ table: string; index: string }[]>`
    select tablename as table, substring(indexdef from '\\(.*\\)') as index from pg_indexes
     where tablename = any (string_to_array(${resultTables.join(',')}, ',')) order by tablename, 2`;
  expect([...indexes]).toEqual(
    resultTables.flatMap((table) => [
      { table, index: '(event_id, entry_id)' },
      { table, index: '(key)' },
    ]),
  );
});

test('a fix that is marked as faulty, or no longer, is noted with its device and time; other changes are not', async () => {
  const { sql } = await openDatabase();
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    select device, timestamptz '2026-07-04 10:00Z' + make_interval(secs => second), 1, 1, 1, 1, 1, 1, 1, '8'
      from unnest(array['a', 'b']) as device, generate_series(0, 2) as second`;
  await sql`update positions set faulty = true where device_id = 'a' and ts > '2026-07-04 10:00Z'`;
  await sql`update positions set faulty = true, speed = 2 where device_id = 'a'`;
  await sql`update positions set faulty = false where device_id = 'a' and ts = '2026-07-04 10:00:02Z'`;
  await sql`update positions set speed = 3`;
  await sql`delete from positions where device_id = 'b'`;
  expect([
    ...(await sql`
      select device_id as device, extract(second from fix_at)::int as second from faulty_changes order by 2`),
  ]).toEqual([
    { device: 'a', second: 0 },
    { device: 'a', second: 1 },
    { device: 'a', second: 2 },
    { device: 'a', second: 2 },
  ]);
});

test('a role that may mark fixes needs no right on what notes it', async () => {
  const { sql } = await openDatabase();
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    values ('a', now(), 1, 1, 1, 1, 1, 1, 1, '8')`;
  const role = `marker_${Math.random().toString(36).slice(2)}`;
  await sql.unsafe(`create role ${role}`);
  await sql.unsafe(`grant select, update (faulty) on positions to ${role}`);
  onTestFinished(async () => {
    await sql`reset role`;
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  });
  await sql.unsafe(`set role ${role}`);
  await sql`update positions set faulty = true`;
  await expect(sql`select from faulty_changes`).rejects.toMatchObject({ code: '42501' });
  // A temporary table does not take its place.
  await sql`create temporary table faulty_changes (device_id text, fix_at timestamptz)`;
  await sql`update positions set faulty = false`;
  await sql`reset role`;
  expect(await sql`select from public.faulty_changes`).toHaveLength(2);
});

test("the processor's rights on Directus' tables are on the columns that exist, without a warning about others", async () => {
  const { url, sql } = await openDatabase({ empty: true });
  await sql`create table events (id uuid primary key, name text, password text)`;
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  await migrate(url, { log });
  const readable = async (column: string): Promise<unknown> =>
    (
      await sql`select has_column_privilege('tracking_processor', 'events', ${column}, 'select') as granted`
    )[0]?.['granted'];
  expect([await readable('id'), await readable('name'), await readable('password')]).toEqual([
    true,
    true,
    false,
  ]);
  await sql`alter table events add column race_status text`;
  expect(await readable('race_status')).toBe(false);
  await migrate(url, { log });
  expect(await readable('race_status')).toBe(true);
  expect(lines.filter((line) => line.startsWith('WARNING'))).toEqual([]);
});

test('the queries of docs/results.md run', async () => {
  const { sql } = await openDatabase();
  const text = await readFile(new URL('../../../docs/results.md', import.meta.url), 'utf8');
  const queries = [...text.matchAll(/```sql\n(.*?)```/gsu)].flatMap(([, block = '']) => block.split(';\n'));
  const statements = queries.filter((query) => query.trim() !== '');
  expect(statements.length).toBeGreaterThan(3);
  for (const statement of statements) expect(await sql.unsafe(statement)).toEqual([]);
});
