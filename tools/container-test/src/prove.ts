import assert from 'node:assert/strict';
import { readDeadLetters } from '@app/demo/dead-letters';
import { keyOf, readStoredRecords } from '@app/demo/stored-records';
import type { BadSending } from '@app/fleet-sim/garbage';
import type { Sending } from '@app/fleet-sim/race';
import { eventually } from '@app/test-kit/eventually';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import { seededEventId } from './seeded-event.ts';
import { Viewers } from './viewers.ts';
import type { Stack } from './stack.ts';

export const stream = 'telemetry:teltonika';
const settleLimitMs = 120_000;

/** Every good record is stored once, as it was sent; each bad one is parked with its bytes; nothing is left pending. */
export async function proveNothingLost(
  redis: Redis,
  sql: Sql,
  sent: readonly (Sending | BadSending)[],
): Promise<void> {
  await eventually(() => checkAllRead(redis), { timeoutMs: settleLimitMs, intervalMs: 250 });
  const good = sent.filter((sending) => 'record' in sending);
  const expected = new Map(good.map(({ record }) => [keyOf(record), record]));
  const stored = await readStoredRecords(sql);
  assert.deepEqual(new Set(stored.keys()), new Set(expected.keys()), 'the rows are those that were sent');
  for (const [key, record] of expected) assert.deepEqual(stored.get(key), record);

  const bad = sent.flatMap((sending) => ('bad' in sending ? [sending.bad] : []));
  // A dead letter is written before its entry is acknowledged, so after a kill it may be there twice.
  const parked = new Set((await readDeadLetters(redis, stream)).map((letter) => letter.original.join()));
  const toBeParked = bad.map(({ fields }) =>
    fields.map((field) => Buffer.from(field).toString('hex')).join(),
  );
  assert.deepEqual(parked, new Set(toBeParked), 'the dead letters are the bad records');
  console.log(
    `container-test:   ${stored.size} fixes are stored, ${parked.size} records parked, none is missing`,
  );
}

async function checkAllRead(redis: Redis): Promise<true> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  assert.ok(Array.isArray(groups));
  const processor = groups.map(fromPairs).find((group) => group.get('name') === 'processor');
  assert.ok(processor, 'the group of the processor is there');
  assert.deepEqual([processor.get('pending'), processor.get('lag')], [0, 0]);
  return true;
}

/** XINFO answers each group as a flat list: name, value, name, value, … */
function fromPairs(pairs: unknown): ReadonlyMap<unknown, unknown> {
  const list: readonly unknown[] = Array.isArray(pairs) ? pairs : [];
  return new Map(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]] as const] : [])));
}

/** Each viewer, and one who comes only now, sees every vehicle of the event where the database has it. */
export async function proveViewersCurrent(stack: Stack, sql: Sql, viewers: Viewers): Promise<void> {
  const rows = await sql<{ id: string; ts: number; latitude: number; longitude: number }[]>`
    select distinct on (devices.id) devices.id, extract(epoch from ts)::float8 * 1000 as ts, latitude, longitude
    from entries
    join entry_devices on entry_devices.entry_id = entries.id
    join devices on devices.id = entry_devices.device_id
    join positions on positions.device_id = devices.imei
    where entries.event_id = ${seededEventId} and quality = 0
    order by devices.id, ts desc`;
  assert.ok(rows.length >= 40, `${rows.length} vehicles of the event have been heard`);
  const newest = new Map(rows.map(({ id, ts, latitude, longitude }) => [id, [ts, latitude, longitude]]));
  using late = await Viewers.enter(stack, 2);
  await eventually(
    () => {
      for (const held of [...viewers.held(), ...late.held()]) {
        const seen = new Map([...held].map(([id, { ts, lat, lon }]) => [id, [ts, lat, lon]]));
        assert.deepEqual(seen, newest);
      }
      return true;
    },
    { timeoutMs: settleLimitMs, intervalMs: 250 },
  );
}
