import { sqlState } from '@app/runtime/postgres';
import { startPostgres } from '@app/test-kit/postgres';
import { eventually } from '@app/test-kit/eventually';
import postgres from 'postgres';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { openWriter } from '../support/open-writer.ts';
import { acceptRows, refuseRows } from '../support/refuse-rows.ts';
import type { Fix } from '../../src/fix.ts';

const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;
const database = await startPostgres();
const sql = postgres(database.url, { fetch_types: false, max: 2, onnotice: () => undefined });

function fixes(count: number, deviceId = 'good'): Fix[] {
  return Array.from({ length: count }, (_, n) => fix({ deviceId, fixAtMs: noon + n }, `${n + 1}-0`));
}

async function storedCount(): Promise<number> {
  const [row] = await sql<{ n: number }[]>`select count(*)::int as n from positions`;
  return row?.n ?? -1;
}

beforeEach(async () => {
  await sql`truncate positions, positions_past_limit`;
});

afterEach(async () => {
  await sql`drop trigger if exists refuse_row on positions`;
  await sql`drop table if exists refused_rows`;
});

afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

test('inserted, duplicate and conflicting rows are durable and counted separately', async () => {
  await using at = openWriter(database.url);
  const [first, second] = fixes(2);
  if (!first || !second) throw new Error('two fixes');
  await at.writer.write([first], never);
  const other = fix({ ...second.position, latitude: 1 }, '9-0');
  const same = fix(second.position, '8-0');
  const batch = [other, first, second, same];
  const written = await at.writer.write(batch, never);
  expect(written.durable).toEqual(batch);
  // The first fix read represents the key; different ones conflict, and are durable all the same.
  expect(written.conflicting.map(({ entry }) => entry.id)).toEqual([second.entry.id, same.entry.id]);
  expect(written.refused).toEqual([]);
  const count = (status: string) => at.metric('processor_position_writes_total', { status });
  expect(await count('inserted')).toBe(2);
  expect(await count('duplicate')).toBe(1);
  expect(await count('conflicting')).toBe(2);
  expect(await count('rejected')).toBe(0);
});

test('fixes past the limit are stored apart; duplicates and conflicts are found there as well', async () => {
  await using at = openWriter(database.url);
  const limitMs = 86_400_000;
  const arrival = `${noon}`;
  const old = fix({ fixAtMs: noon - 2 * limitMs }, `${arrival}-0`, limitMs);
  const recent = fix({ fixAtMs: noon }, `${arrival}-1`, limitMs);
  const duplicate = fix(old.position, `${arrival}-2`, limitMs);
  const conflict = fix({ ...old.position, latitude: 1 }, `${arrival}-3`, limitMs);
  const batch = [old, recent, duplicate, conflict];
  expect(await at.writer.write(batch, never)).toEqual({
    durable: batch,
    repeated: new Set([duplicate, conflict]),
    conflicting: [conflict],
    refused: [],
  });
  expect(await at.writer.write(batch, never)).toEqual({
    durable: batch,
    repeated: new Set(batch),
    conflicting: [conflict],
    refused: [],
  });
  expect(await sql`select ts from positions`).toEqual([{ ts: new Date(noon) }]);
  expect(await sql`select ts from positions_past_limit`).toEqual([{ ts: new Date(noon - 2 * limitMs) }]);
});

test('rewriting a batch yields only duplicates', async () => {
  await using at = openWriter(database.url);
  const batch = fixes(100);
  for (let n = 0; n < 3; n += 1) {
    expect(await at.writer.write(batch, never)).toEqual({
      durable: batch,
      repeated: new Set(n === 0 ? [] : batch),
      conflicting: [],
      refused: [],
    });
  }
  expect(await at.metric('processor_position_writes_total', { status: 'duplicate' })).toBe(200);
  expect(await storedCount()).toBe(100);
});

test('an exact duplicate within a batch needs no statement and conflicts if the first fix does', async () => {
  await using at = openWriter(database.url);
  const count = (status: string) => at.metric('processor_position_writes_total', { status });
  const [stored, other] = fixes(2);
  if (!stored || !other) throw new Error('two fixes');
  const again = fix(other.position, '7-0');
  expect(await at.writer.write([other, again], never)).toMatchObject({
    durable: [other, again],
    conflicting: [],
  });
  expect(await at.statements()).toBe(1);
  expect([await count('inserted'), await count('duplicate')]).toEqual([1, 1]);
  // Equal to each other, and different from the stored row.
  await at.writer.write([stored], never);
  const first = fix({ ...stored.position, satellites: 4 }, '8-0');
  const second = fix(first.position, '9-0');
  const { durable, conflicting } = await at.writer.write([first, second], never);
  expect(durable).toEqual([first, second]);
  expect(conflicting).toEqual([first, second]);
  expect([await count('inserted'), await count('duplicate'), await count('conflicting')]).toEqual([2, 1, 2]);
});

test('an exact duplicate of a refused row is refused too', async () => {
  await using at = openWriter(database.url);
  await refuseRows(sql, 'bad', '22003');
  const first = fix({ deviceId: 'bad', fixAtMs: noon }, '1-0');
  const second = fix(first.position, '2-0');
  const { durable, refused } = await at.writer.write([first, second], never);
  expect(durable).toEqual([]);
  expect(refused.map(({ entry }) => entry.id)).toEqual(['1-0', '2-0']);
});

test.each([
  ['latitude', 1],
  ['longitude', 1],
  ['altitudeM', 1],
  ['speedKmh', 1],
  ['courseDeg', 1],
  ['satellites', 4],
  ['priority', 2],
  ['attributes', { '239': 7 }],
] as const)('a fix that differs from the first in %s is not an exact duplicate', async (field, value) => {
  await using at = openWriter(database.url);
  const [first] = fixes(1);
  const second = fix({ deviceId: 'good', fixAtMs: noon, [field]: value }, '9-0');
  if (!first) throw new Error('a fix');
  const { conflicting } = await at.writer.write([first, second], never);
  expect(conflicting).toEqual([second]);
});

test('an empty batch runs no statement', async () => {
  await using at = openWriter(database.url);
  expect(await at.writer.write([], never)).toMatchObject({ durable: [], conflicting: [], refused: [] });
  expect(await at.statements()).toBe(0);
});

test('refused rows of every class in a batch of 1,000 are found in O(k log n) statements; the rest is stored', async () => {
  await using at = openWriter(database.url);
  const states = ['22003', '22P02', '23502', '23503', '23514'];
  const batch = fixes(1000);
  for (const [n, state] of states.entries()) {
    await refuseRows(sql, `bad${state}`, state);
    batch[n * 190 + 7] = fix({ deviceId: `bad${state}`, fixAtMs: noon }, `${5000 + n}-0`);
  }
  const { durable, refused } = await at.writer.write(batch, never);
  expect(durable).toHaveLength(995);
  expect(await storedCount()).toBe(995);
  expect(new Map(refused.map((row) => [row.deviceId, [row.reason, row.sqlState, row.entry.id]]))).toEqual(
    new Map(states.map((state, n) => [`bad${state}`, ['row_refused', state, `${5000 + n}-0`]])),
  );
  // The whole batch, then two halves at each of log2(1000) = 10 levels per refused row.
  expect(await at.statements()).toBeLessThanOrEqual(states.length * 2 * 10 + 1);
  expect(await at.metric('processor_position_writes_total', { status: 'rejected' })).toBe(5);
  expect(await at.metric('processor_position_writes_total', { status: 'inserted' })).toBe(995);
  expect(await at.metric('processor_write_retries_total')).toBeUndefined();
});

test('a refusal contains the SQLSTATE and no data of the row', async () => {
  await using at = openWriter(database.url);
  await sql`alter table positions add constraint slow check (speed < 500)`;
  try {
    const { refused } = await at.writer.write([...fixes(3), fix({ deviceId: 'x', speedKmh: 501 })], never);
    expect(refused).toMatchObject([
      { detail: 'Postgres refuses this row (SQLSTATE 23514)', sqlState: '23514' },
    ]);
  } finally {
    await sql`alter table positions drop constraint slow`;
  }
});

test('a fix with the key of a refused fix is not a duplicate of it', async () => {
  await using at = openWriter(database.url);
  await sql`alter table positions add constraint slow check (speed < 500)`;
  try {
    const refusedFix = fix({ deviceId: 'x', speedKmh: 501 }, '1-0');
    const again = fix({ deviceId: 'x', speedKmh: 501 }, '2-0');
    const good = fix({ deviceId: 'x', speedKmh: 50 }, '3-0');
    const goodAgain = fix({ deviceId: 'x', speedKmh: 50 }, '4-0');
    const { durable, refused, conflicting } = await at.writer.write(
      [refusedFix, again, good, goodAgain],
      never,
    );
    expect(refused.map(({ entry }) => entry.id)).toEqual(['1-0', '2-0']);
    expect(durable.map(({ entry }) => entry.id)).toEqual(['3-0', '4-0']);
    expect(conflicting).toEqual([]);
    expect(await sql`select speed from positions`).toEqual([{ speed: 50 }]);
    const count = (status: string) => at.metric('processor_position_writes_total', { status });
    expect(await count('inserted')).toBe(1);
    expect(await count('duplicate')).toBe(1);
    expect(await count('rejected')).toBe(2);
  } finally {
    await sql`alter table positions drop constraint slow`;
  }
});

test('the refused rows of one device are not limited', async () => {
  await using at = openWriter(database.url);
  await refuseRows(sql, 'bad', '23514');
  const batch = fixes(200).map((row, n) => (n % 2 === 0 ? row : fix({ deviceId: 'bad', fixAtMs: noon + n })));
  const { durable, refused } = await at.writer.write(batch, never);
  expect(durable).toHaveLength(100);
  expect(refused).toHaveLength(100);
});

test('refused rows of more than ten devices in one batch are a fatal error and are not dead-lettered', async () => {
  await using at = openWriter(database.url);
  const devices = Array.from({ length: 11 }, (_, n) => `bad${n}`);
  for (const deviceId of devices) await refuseRows(sql, deviceId, '23514');
  const bad = devices.map((deviceId) => fix({ deviceId }));
  await expect(at.writer.write([...fixes(50), ...bad], never)).rejects.toThrow(
    'Postgres refuses rows of 11 devices in one batch; check the schema of positions. Nothing was dead-lettered',
  );
  expect((await at.writer.write([...fixes(50), ...bad.slice(1)], never)).refused).toHaveLength(10);
});

test('a fatal error is thrown without a retry', async () => {
  for (const state of ['42P01', '42501', '28000', '3D000', '0A000', '21000', 'P0001']) {
    await using at = openWriter(database.url);
    await refuseRows(sql, '*', state);
    const error: unknown = await at.writer.write(fixes(8), never).catch((each: unknown) => each);
    expect(sqlState(error)).toBe(state);
    expect(await at.statements()).toBe(1);
    expect(at.runner.retryReason).toBeUndefined();
    await acceptRows(sql, '*');
  }
});

test('a transient error is retried until it ends, and the writer reports that it is retrying', async () => {
  for (const state of ['53100', '25006', '40001', '40P01', '55P03', '57P03', '58030', '08006']) {
    await using at = openWriter(database.url);
    await refuseRows(sql, '*', state);
    const batch = fixes(4, `d${state}`);
    const writing = at.writer.write(batch, never);
    await eventually(() => at.retries() >= 2);
    expect(at.runner.retryReason).toBe(state);
    const notRetrying = at.runner.whenNotRetrying().then(() => 'resolved');
    expect(await Promise.race([notRetrying, sql`select 1`.then(() => 'pending')])).toBe('pending');
    await acceptRows(sql, '*');
    expect((await writing).durable).toEqual(batch);
    expect(await notRetrying).toBe('resolved');
    expect(at.runner.retryReason).toBeUndefined();
    expect(await at.metric('processor_write_retries_total', { class: state.slice(0, 2) })).toBe(at.retries());
    // One line when retries begin and one when they end, whatever the number of attempts.
    expect(at.messages).toEqual(['warn: insert failed; retrying', 'info: insert succeeded after retries']);
  }
});

test('a statement that times out is halved until it succeeds, and counts as a retry', async () => {
  await using at = openWriter(database.url, { statementTimeoutMs: 200 });
  await sql`
    create or replace function refuse_row() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.02); return new; end $$`;
  await sql`
    create trigger refuse_row before insert on positions for each row execute function refuse_row()`;
  const wasRetrying: boolean[] = [];
  const writing = at.writer.write(fixes(32), never);
  await eventually(async () => {
    wasRetrying.push(at.runner.retryReason !== undefined);
    return (await storedCount()) > 0;
  });
  expect(wasRetrying).toContain(true);
  const { durable, refused } = await writing;
  expect(durable).toHaveLength(32);
  expect(refused).toEqual([]);
  expect(await storedCount()).toBe(32);
  expect(await at.metric('processor_write_retries_total', { class: '57' })).toBeGreaterThanOrEqual(2);
  expect(at.retries()).toBeGreaterThanOrEqual(2);
  expect(at.runner.retryReason).toBeUndefined();
});

test('a single row that times out is retried and never dead-lettered', async () => {
  await using at = openWriter(database.url, { statementTimeoutMs: 50 });
  const lock = await sql.reserve();
  await lock`begin`;
  await lock`lock table positions in access exclusive mode`;
  const writing = at.writer.write(fixes(1), never);
  await eventually(() => at.retries() >= 2);
  await lock`commit`;
  lock.release();
  expect((await writing).durable).toHaveLength(1);
});

test('a missed deadline replaces the Postgres client once, however many statements missed it', async () => {
  await using at = openWriter(database.url, { deadlineMs: 500, statementTimeoutMs: 0 });
  const lock = await sql.reserve();
  await lock`begin`;
  await lock`lock table positions in access exclusive mode`;
  const writing = ['a', 'b', 'c'].map((deviceId) => at.writer.write(fixes(5, deviceId), never));
  await eventually(() => at.retries() >= 3);
  expect(at.connects()).toBeGreaterThanOrEqual(2);
  expect(at.connects()).toBeLessThanOrEqual(1 + at.retries());
  await lock`commit`;
  lock.release();
  await Promise.all(writing);
  expect(await storedCount()).toBe(15);
  expect(await at.metric('processor_write_retries_total', { class: 'deadline' })).toBeGreaterThanOrEqual(1);
});

test('two writers with the same rows in opposite order do not deadlock', async () => {
  await using one = openWriter(database.url);
  await using two = openWriter(database.url);
  const batch = Array.from({ length: 300 }, (_, n) => fix({ deviceId: `d${n % 30}`, fixAtMs: noon + n }));
  for (let round = 0; round < 10; round += 1) {
    await Promise.all([one.writer.write(batch, never), two.writer.write(batch.toReversed(), never)]);
    expect(await storedCount()).toBe(300);
    await sql`truncate positions`;
  }
  for (const at of [one, two]) expect(await at.metric('processor_write_retries_total')).toBeUndefined();
});

test('an abandoned write stops retrying and rejects with the abort reason', async () => {
  await using at = openWriter(database.url);
  await refuseRows(sql, '*', '53100');
  const abandon = new AbortController();
  const stop = eventually(() => at.retries() >= 1).then(() => abandon.abort(new Error('enough')));
  await expect(at.writer.write(fixes(3), abandon.signal)).rejects.toThrow('enough');
  await stop;
  await at.runner.whenNotRetrying();
  expect(await storedCount()).toBe(0);
  expect(at.messages).not.toContain('info: insert succeeded after retries');
});

test('concurrent statements do not exceed the concurrency limit', async () => {
  await using at = openWriter(database.url);
  await sql`
    create or replace function refuse_row() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.05); return new; end $$`;
  await sql`
    create trigger refuse_row before insert on positions for each row execute function refuse_row()`;
  const writing = Promise.all(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => at.writer.write(fixes(1, id), never)),
  );
  const activeCounts: number[] = [];
  await eventually(
    async () => {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from pg_stat_activity
        where datname = current_database() and application_name = 'writer' and state = 'active'`;
      activeCounts.push(row?.n ?? 0);
      return (await storedCount()) === 6;
    },
    { intervalMs: 1 },
  );
  await writing;
  expect(Math.max(...activeCounts)).toBeLessThanOrEqual(3);
  expect(Math.max(...activeCounts)).toBeGreaterThan(1);
});
