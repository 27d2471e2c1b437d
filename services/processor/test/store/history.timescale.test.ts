import { migrate } from '@app/migrate/migrate';
import { countPlannedChunks } from '@app/test-kit/explain-statements';
import { startTimescale } from '@app/test-kit/timescale';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { singleConnectionClient, writerOn } from '../support/open-writer.ts';
import { selectLastFixes } from '../../src/state/look-up-last-fixes.ts';
import { findDifferent, insertPositions } from '../../src/store/insert-positions.ts';

const dayMs = 86_400_000;
const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;
const timescale = await startTimescale();
const sql = postgres(timescale.url, { max: 1, fetch_types: false, onnotice: () => undefined });

beforeAll(async () => {
  await migrate(timescale.url);
});

afterAll(async () => {
  await sql.end();
  await timescale[Symbol.asyncDispose]();
});

/** One fix a day, back to `days` days ago. */
async function storeHistory(days: number): Promise<void> {
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    select 'old', to_timestamp(${noon / 1000}) - make_interval(days => n), 46, 7, 0, 0, 0, 9, 0, '8E'
    from generate_series(1, ${days}::int) as n
    on conflict do nothing`;
}

test('no statement of the write path opens more chunks because there is more history', async () => {
  const rows = Array.from({ length: 100 }, (_, n) =>
    fix({ deviceId: `new${n}`, fixAtMs: noon - n * 60_000 }),
  );
  const asked = rows.map(({ position }) => [position.deviceId, position.fixAtMs] as const);
  await storeHistory(30);
  const measure = async () => ({
    insert: await countPlannedChunks(sql, (recording) => insertPositions(recording, rows)),
    compare: await countPlannedChunks(sql, (recording) => findDifferent(recording, rows)),
    lookUp: await countPlannedChunks(sql, (recording) => selectLastFixes(recording, asked)),
  });
  const before = await measure();
  await storeHistory(300);
  expect(await measure()).toEqual(before);
  // The insert finds its chunk row by row.
  expect(before).toEqual({ insert: 0, compare: 1, lookUp: 8 });
});

test('a batch of old duplicates is compared a week of chunks at a time', async () => {
  await storeHistory(300);
  const rows = Array.from({ length: 300 }, (_, n) =>
    fix({ deviceId: 'old', fixAtMs: noon - (n + 1) * dayMs, latitude: n === 7 ? 1 : 46 }),
  );
  const at = writerOn(singleConnectionClient(sql));
  const { durable, conflicting } = await at.writer.write(rows, never);
  expect(durable).toHaveLength(300);
  expect(conflicting).toHaveLength(300);
  // One insert, and 300 days by eight, the first and the last of a week included.
  expect(await at.statements()).toBe(1 + 38);
});
