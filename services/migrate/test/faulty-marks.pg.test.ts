import { randomUUID } from 'node:crypto';
import { eventually } from '@app/test-kit/eventually';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest';

const database = await startPostgres();
const sql = postgres(database.url, { max: 3, onnotice: () => undefined });
const [deviceId, other] = [randomUUID(), randomUUID()];

afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await sql`truncate positions, faulty_marks, faulty_changes, devices cascade`;
  await sql`insert into devices (id, imei) values (${deviceId}, 'a'), (${other}, 'b')`;
  for (const imei of ['a', 'b']) for (let minute = 0; minute < 6; minute += 1) await storeFix(imei, minute);
});

async function storeFix(imei: string, minute: number, on: postgres.Sql = sql): Promise<void> {
  await on`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    values (${imei}, ${minuteOf(minute)}, 1, 1, 1, 1, 1, 1, 1, '8')`;
}

function minuteOf(minute: number): Date {
  return new Date(Date.UTC(2026, 0, 1, 10, minute));
}

/** Returns the row as it was saved. */
async function mark(
  from: number,
  until: number,
  more: Readonly<Record<string, string | Date | null>> = {},
  on: postgres.Sql = sql,
) {
  const row = {
    device_id: deviceId,
    from_at: minuteOf(from),
    until_at: minuteOf(until),
    reason: 'a test',
    ...more,
  };
  const [saved] = await on<{ id: string; imei: string | null; fixes: number; problem: string | null }[]>`
    insert into faulty_marks ${on(row)} returning id, imei, fixes, problem`;
  if (!saved) throw new Error('nothing was saved');
  return saved;
}

/** `a1` is the fix of device a in minute 1. */
async function faulty(): Promise<string> {
  const rows = await sql<{ fix: string }[]>`
    select device_id || extract(minute from ts) as fix from positions where faulty order by 1`;
  return rows.map(({ fix }) => fix).join(' ');
}

async function isWaitingFor(mode: string): Promise<boolean> {
  const waiting = await sql`
    select from pg_locks join pg_database on pg_database.oid = database
     where datname = current_database() and mode = ${mode} and not granted`;
  return waiting.length === 1;
}

async function changesSince(id: number): Promise<string> {
  const rows = await sql<{ fix: string }[]>`
    select device_id || extract(minute from fix_at) as fix from faulty_changes where id > ${id} order by 1`;
  return rows.map(({ fix }) => fix).join(' ');
}

test('a mark makes the fixes of its range faulty, both ends included, and good again when it is deleted', async () => {
  const { id, ...saved } = await mark(1, 3);
  expect(saved).toEqual({ imei: 'a', fixes: 3, problem: null });
  expect(await faulty()).toBe('a1 a2 a3');
  expect(await changesSince(0)).toBe('a1 a2 a3');
  await sql`delete from faulty_marks where id = ${id}`;
  expect(await faulty()).toBe('');
  expect(await changesSince(0)).toBe('a1 a1 a2 a2 a3 a3');
});

test('a fix that two marks cover stays faulty until both are gone', async () => {
  const first = await mark(0, 3);
  const second = await mark(2, 5);
  expect(await faulty()).toBe('a0 a1 a2 a3 a4 a5');
  await sql`delete from faulty_marks where id = ${first.id}`;
  expect(await faulty()).toBe('a2 a3 a4 a5');
  await sql`delete from faulty_marks where id = ${second.id}`;
  expect(await faulty()).toBe('');
});

test('a mark that is changed frees what it covers no more, and notes only fixes that changed', async () => {
  const { id } = await mark(1, 3);
  const [{ last } = { last: 0 }] = await sql<
    { last: number }[]
  >`select max(id)::int as last from faulty_changes`;
  await sql`update faulty_marks set from_at = ${minuteOf(2)}, until_at = ${minuteOf(4)} where id = ${id}`;
  expect(await faulty()).toBe('a2 a3 a4');
  expect(await changesSince(last)).toBe('a1 a4');
  await sql`update faulty_marks set reason = 'another' where id = ${id}`;
  expect(await changesSince(last)).toBe('a1 a4');
  await sql`update faulty_marks set device_id = ${other} where id = ${id}`;
  expect(await faulty()).toBe('b2 b3 b4');
  // Its problem frees all of it.
  await sql`update faulty_marks set until_at = ${minuteOf(0)} where id = ${id}`;
  expect(await faulty()).toBe('');
});

test.for([
  ['of an unknown tracker', { device_id: randomUUID() }, /^The tracker is not in devices, or has no IMEI/u],
  ['that ends before it starts', { until_at: minuteOf(-1) }, /^The range ends before it starts/u],
  ['of more than a day', { from_at: minuteOf(-24 * 60 - 1) }, /^The range is longer than a day/u],
  [
    'that ends in the future',
    { from_at: new Date(Date.now() - 60_000), until_at: new Date(Date.now() + 60_000) },
    /^The range ends in the future/u,
  ],
] as const)('a mark %s has no effect and says what to do', async ([, more, problem]) => {
  const { id, ...saved } = await mark(0, 0, more);
  expect(saved).toMatchObject({ fixes: 0, problem: expect.stringMatching(problem) });
  expect(await faulty()).toBe('');
  // Corrected, it has.
  await sql`
    update faulty_marks set device_id = ${deviceId}, from_at = ${minuteOf(0)}, until_at = ${minuteOf(0)} where id = ${id}`;
  expect(await sql`select problem from faulty_marks`).toEqual([{ problem: null }]);
  expect(await faulty()).toBe('a0');
});

test('a mark of exactly a day has an effect', async () => {
  expect(await mark(0, 24 * 60)).toMatchObject({ fixes: 6, problem: null });
});

test('a fix whose transaction has not ended when the mark is saved becomes faulty as well', async () => {
  const storing = await sql.reserve();
  onTestFinished(() => storing.release());
  await storing`begin`;
  await storeFix('a', 7, storing);
  const saved = mark(6, 8);
  await eventually(() => isWaitingFor('ShareRowExclusiveLock'));
  await storing`commit`;
  expect(await saved).toMatchObject({ fixes: 1 });
  expect(await faulty()).toBe('a7');
});

test('fixes are not stored between a mark and the end of its transaction', async () => {
  const marking = await sql.reserve();
  onTestFinished(() => marking.release());
  await marking`begin`;
  await mark(6, 8, {}, marking);
  const stored = storeFix('a', 7);
  await eventually(() => isWaitingFor('RowExclusiveLock'));
  await marking`rollback`;
  await stored;
  expect(await faulty()).toBe('');
});

test("Directus' role edits marks and reads results, and changes neither positions nor results", async () => {
  const role = `directus_${randomUUID().replaceAll('-', '')}`;
  await sql.unsafe(`create role ${role} in role tracking_directus; grant select on devices to ${role}`);
  const connection = await sql.reserve();
  onTestFinished(async () => {
    await connection`reset role`;
    connection.release();
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  });
  await connection.unsafe(`set role ${role}`);
  const { id } = await mark(1, 2, {}, connection);
  expect(await faulty()).toBe('a1 a2');
  await connection`update faulty_marks set until_at = ${minuteOf(1)} where id = ${id}`;
  expect(await faulty()).toBe('a1');
  await connection`delete from faulty_marks where id = ${id}`;
  expect(await faulty()).toBe('');
  const results = [
    'passings',
    'waypoint_results',
    'zone_episodes',
    'incidents',
    'stage_results',
    'classification',
    'vehicle_states',
    'result_changes',
    'race_problems',
  ];
  for (const table of results) expect(await connection.unsafe(`select * from ${table}`)).toEqual([]);
  for (const statement of [
    ...results.flatMap((table) => [`delete from ${table}`, `update ${table} set event_id = null`]),
    'select * from positions',
    'update positions set faulty = true',
    'update faulty_marks set imei = null',
    'select * from faulty_changes',
    'alter table passings add column planted int',
    'comment on table passings is null',
  ]) {
    const outcome = await connection.unsafe(statement).then(
      () => 'done',
      (error: unknown) => (error instanceof postgres.PostgresError ? error.code : String(error)),
    );
    expect(`${statement}: ${outcome}`).toBe(`${statement}: 42501`);
  }
});
