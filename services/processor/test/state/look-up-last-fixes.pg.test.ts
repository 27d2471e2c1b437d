import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { lookBackMs, selectLastFixes } from '../../src/state/look-up-last-fixes.ts';
import { insertPositions } from '../../src/store/insert-positions.ts';

const noon = Date.UTC(2026, 5, 1, 12);
const database = await startPostgres();
const sql = postgres(database.url, { fetch_types: false, max: 1 });

beforeAll(async () => {
  const rows = [
    fix({ deviceId: 'a', fixAtMs: noon - 3000, latitude: 1 }),
    fix({ deviceId: 'a', fixAtMs: noon - 2000, latitude: 2, altitudeM: 812.3, speedKmh: 99.9 }),
    fix({ deviceId: 'a', fixAtMs: noon - 1000, satellites: 0 }),
    fix({ deviceId: 'a', fixAtMs: noon }),
    fix({ deviceId: 'b', fixAtMs: noon - 500, latitude: 3 }),
    fix({ deviceId: 'b', fixAtMs: noon - 400, latitude: 4 }),
  ];
  await insertPositions(sql, rows);
  await sql`update positions set faulty = true where latitude = 4`;
});

afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

test('the newest good fix of each device before its given time is found', async () => {
  const found = await selectLastFixes(sql, [
    ['a', noon],
    ['b', noon],
  ]);
  expect(found).toEqual(
    new Map([
      [
        'a',
        {
          fixAtMs: noon - 2000,
          latitude: 2,
          longitude: 7.25,
          altitudeM: 812.3,
          courseDeg: 90,
          speedKmh: 99.9,
        },
      ],
      ['b', expect.objectContaining({ fixAtMs: noon - 500, latitude: 3 })],
    ]),
  );
});

test('a fix at exactly the given time is not found', async () => {
  expect(await selectLastFixes(sql, [['a', noon - 2000]])).toMatchObject(
    new Map([['a', expect.objectContaining({ latitude: 1 })]]),
  );
  expect(await selectLastFixes(sql, [['a', noon - 3000]])).toEqual(new Map());
});

test('a device without a good fix is left out', async () => {
  expect(await selectLastFixes(sql, [['nobody', noon]])).toEqual(new Map());
});

test('a fix older than the look-back is not found, whatever the other devices ask for', async () => {
  const [at, after] = [fix({ deviceId: 'at', fixAtMs: noon }), fix({ deviceId: 'after', fixAtMs: noon })];
  await insertPositions(sql, [after, at]);
  const found = await selectLastFixes(sql, [
    ['at', noon + lookBackMs],
    ['after', noon + lookBackMs + 1],
  ]);
  expect(found).toEqual(new Map([['at', expect.objectContaining({ fixAtMs: noon })]]));
});

test('times keep their milliseconds over the whole storable range', async () => {
  const years = [0, Date.UTC(2026, 1, 3, 4, 5, 6, 789), Date.UTC(9999, 11, 31, 23, 59, 59, 998)];
  // Fixes of the far future would be flagged; here only the time matters.
  await insertPositions(
    sql,
    years.map((fixAtMs, n) => ({ ...fix({ deviceId: `y${n}`, fixAtMs }), quality: 0 })),
  );
  const found = await selectLastFixes(
    sql,
    years.map((fixAtMs, n) => [`y${n}`, fixAtMs + 1] as const),
  );
  expect(years.map((_, n) => found.get(`y${n}`)?.fixAtMs)).toEqual(years);
});
