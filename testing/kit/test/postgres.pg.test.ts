import { randomUUID } from 'node:crypto';
import postgres, { type Sql } from 'postgres';
import { expect, test } from 'vitest';
import { seedEvent } from '../src/directus-tables.ts';
import { eventually } from '../src/eventually.ts';
import { startOwnPostgres, startPostgres } from '../src/postgres.ts';

function connect(url: string): Sql & AsyncDisposable {
  const sql = postgres(url, { max: 4, onnotice: () => undefined });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 0 }) });
}

test('a test database has the tables of the migrations and of Directus and is dropped afterwards', async () => {
  let name: string;
  {
    await using database = await startPostgres();
    await using sql = connect(database.url);
    name = database.name;
    const tables = await sql`select tablename from pg_tables where schemaname = 'public' order by 1`;
    expect(tables.map((row) => String(row['tablename']))).toEqual(
      expect.arrayContaining(['entries', 'events', 'passings', 'pgmigrations', 'positions', 'stages']),
    );
  }
  await using other = await startPostgres({ empty: true });
  await using sql = connect(other.url);
  expect(await sql`select 1 from pg_database where datname = ${name}`).toHaveLength(0);
  expect(await sql`select 1 from pg_tables where schemaname = 'public'`).toHaveLength(0);
});

test('a seeded event is joined to its devices by UUID, and a device may be in two events', async () => {
  await using database = await startPostgres();
  await using sql = connect(database.url);
  const shared = { id: randomUUID(), imei: '356307042441013' };
  const only = { id: randomUUID(), imei: '356307042441014' };
  const [first, second, empty] = [randomUUID(), randomUUID(), randomUUID()];
  await seedEvent(sql, { eventId: first, devices: [shared, only] });
  await seedEvent(sql, { eventId: second, devices: [shared] });
  await seedEvent(sql, { eventId: empty, devices: [] });
  const rows = await sql`
    select entries.event_id, devices.imei
    from entry_devices
    join entries on entries.id = entry_devices.entry_id
    join devices on devices.id = entry_devices.device_id
    order by devices.imei, entries.event_id = ${second}`;
  expect(rows.map((row) => [row['event_id'], row['imei']])).toEqual([
    [first, shared.imei],
    [second, shared.imei],
    [first, only.imei],
  ]);
  await expect(
    sql`select from positions join entry_devices on positions.device_id = entry_devices.device_id`,
  ).rejects.toMatchObject({ code: '42883' });
});

test('an own Postgres keeps its port and committed data over stop and kill', async () => {
  await using own = await startOwnPostgres({
    migrate: async (url) => {
      await using sql = connect(url);
      await sql`create table kept (what text)`;
    },
  });
  await using sql = connect(own.url);
  await sql`insert into kept values ('before the stop')`;
  await own.stop();
  await own.start();
  await eventually(() => sql`insert into kept values ('before the kill')`);
  await own.kill();
  await own.start();
  expect(await eventually(() => sql`select from kept`)).toHaveLength(2);
});

test('a paused Postgres does not answer open connections until it is resumed', async () => {
  await using own = await startOwnPostgres();
  await using sql = connect(own.url);
  await sql`select 1`;
  own.pause();
  const answer = sql`select 'late' as word`.execute();
  await expect(
    eventually(() => Promise.race([answer, Promise.resolve()]), { timeoutMs: 200 }),
  ).rejects.toThrow('Not so');
  own.resume();
  expect(await answer).toMatchObject([{ word: 'late' }]);
});

test('settings reach the server', async () => {
  await using own = await startOwnPostgres({ settings: { fsync: 'on', synchronous_commit: 'on' } });
  await using sql = connect(own.url);
  const [row] = await sql`
    select current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit,
      current_setting('listen_addresses') as addresses`;
  expect(row).toEqual({ fsync: 'on', synchronous_commit: 'on', addresses: '127.0.0.1' });
});
