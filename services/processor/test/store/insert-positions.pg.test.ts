import { randomUUID } from 'node:crypto';
import { decodeAttributes } from '@app/shared/codec';
import { explainStatements } from '@app/test-kit/explain-statements';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { findDifferent, insertPositions } from '../../src/store/insert-positions.ts';

const noon = Date.UTC(2026, 5, 1, 12);
const database = await startPostgres();
const sql = postgres(database.url, { fetch_types: false, max: 2 });

beforeEach(async () => {
  await sql`truncate positions`;
});

afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

test('every field of a fix is stored in its column, and attributes keep their types', async () => {
  const attributes = {
    '16': 123456,
    '1': -0.5,
    '239': true,
    '78': 18446744073709551615n,
    '385': Uint8Array.of(0, 255, 1),
    'note "quoted"\n': 'ß\\ 😀',
  };
  const written = fix({ fixAtMs: noon + 123, priority: 2, altitudeM: -12.5, courseDeg: 359.5, attributes });
  expect(await insertPositions(sql, [{ ...written, codec: '16', quality: 5 }])).toEqual([]);
  const [row] = await sql`select *, extract(epoch from ts)::float8 * 1000 as ts_ms from positions`;
  expect(row).toMatchObject({
    device_id: '350000000000001',
    ts_ms: noon + 123,
    latitude: 46.5,
    longitude: 7.25,
    altitude: -12.5,
    angle: 359.5,
    speed: 42.5,
    satellites: 9,
    priority: 2,
    codec: '16',
    quality: 5,
    faulty: false,
  });
  expect(decodeAttributes(row?.['attributes'])).toEqual(attributes);
});

test('a fix of a range that is marked as faulty is stored as faulty and noted, also after the mark', async () => {
  const deviceId = randomUUID();
  await sql`insert into devices (id, imei) values (${deviceId}, 'a')`;
  await sql`
    insert into faulty_marks (device_id, from_at, until_at, reason)
    values (${deviceId}, ${new Date(noon)}, ${new Date(noon + 2000)}, 'a test'),
           (${deviceId}, ${new Date(noon + 4000)}, ${new Date(noon + 3000)}, 'has no effect')`;
  const fixes = [-1, 0, 2000, 2001, 3500].map((ms) => fix({ deviceId: 'a', fixAtMs: noon + ms }));
  await insertPositions(sql, [...fixes, fix({ deviceId: 'b', fixAtMs: noon })]);
  const stored = await sql`
    select ((extract(epoch from ts) * 1000) - ${noon})::int as ms from positions where faulty order by 1`;
  expect(stored).toEqual([{ ms: 0 }, { ms: 2000 }]);
  expect(await sql`select from faulty_changes where device_id = 'a'`).toHaveLength(2);
});

test('any device id that the decoder accepts is stored, even array syntax such as NULL', async () => {
  const names = ['NULL', 'null', '-', '_', '0', 'Z'.repeat(32)];
  expect(
    await insertPositions(
      sql,
      names.map((deviceId) => fix({ deviceId })),
    ),
  ).toEqual([]);
  const rows = await sql<{ device_id: string }[]>`select device_id from positions`;
  expect(rows.map(({ device_id: name }) => name).toSorted()).toEqual(names.toSorted());
});

test('inserting returns the indexes of the rows that already existed', async () => {
  const [a, b, c] = [fix({ deviceId: 'a' }), fix({ deviceId: 'b' }), fix({ deviceId: 'c' })];
  expect(await insertPositions(sql, [b])).toEqual([]);
  expect(await insertPositions(sql, [a, b, c])).toEqual([1]);
  expect(await insertPositions(sql, [a, b, c])).toEqual([0, 1, 2]);
  expect(await insertPositions(sql, [])).toEqual([]);
  expect(await sql`select device_id from positions order by 1`).toHaveLength(3);
});

test('different content for a stored key does not change the stored row', async () => {
  await insertPositions(sql, [fix({ latitude: 1 })]);
  expect(await insertPositions(sql, [fix({ latitude: 2 })])).toEqual([0]);
  expect(await sql`select latitude from positions`).toEqual([{ latitude: 1 }]);
});

test('a difference in any column of a record is found', async () => {
  const stored = { fixAtMs: noon, altitudeM: 812.3, speedKmh: 33.3, attributes: { '1': 1, '2': 'x' } };
  await insertPositions(sql, [fix(stored)]);
  const changes = [
    {},
    { attributes: { '2': 'x', '1': 1 } },
    { latitude: 46.500000001 },
    { longitude: 7.250000001 },
    { altitudeM: 812.4 },
    { courseDeg: 91 },
    { speedKmh: 33.4 },
    { satellites: 8 },
    { priority: 2 as const },
    { attributes: { '1': 1, '2': 'y' } },
    { attributes: { '1': 1n, '2': 'x' } },
    { attributes: { '1': 1 } },
  ];
  const rows = changes.map((change) => fix({ ...stored, ...change }));
  expect(await findDifferent(sql, rows)).toEqual(changes.map((_, n) => n).slice(2));
});

test('a row that is not stored is not reported as different', async () => {
  expect(await findDifferent(sql, [fix({ deviceId: 'nobody' })])).toEqual([]);
});

test('comparing never scans the whole table, even without statistics', async () => {
  const rows = Array.from({ length: 2000 }, (_, n) => fix({ deviceId: `d${n}` }));
  await insertPositions(sql, rows);
  const one = postgres(database.url, { fetch_types: false, max: 1 });
  const plan = await explainStatements(one, (recording) => findDifferent(recording, rows.slice(0, 10)));
  await one.end();
  expect(plan).toContain('Index Scan using positions_device_ts_idx');
  expect(plan).not.toContain('Seq Scan');
});
