import assert from 'node:assert/strict';
import { eventually } from '@app/test-kit/eventually';
import type { Sql } from 'postgres';
import { seededEventId } from '@app/fleet-sim/seed-sql';
import type { Stack } from './stack.ts';
import { Viewers } from './viewers.ts';

const catchUpTimeoutMs = 120_000;

/** Every viewer, including new ones, holds the newest position of every vehicle of the event. */
export async function checkViewersCurrent(stack: Stack, sql: Sql, viewers: Viewers): Promise<void> {
  const rows = await sql<{ id: string; ts: number; latitude: number; longitude: number }[]>`
    select distinct on (devices.id) devices.id, extract(epoch from ts)::float8 * 1000 as ts, latitude, longitude
    from entries
    join entry_devices on entry_devices.entry_id = entries.id
    join devices on devices.id = entry_devices.device_id
    join positions on positions.device_id = devices.imei
    where entries.event_id = ${seededEventId} and quality = 0
    order by devices.id, ts desc`;
  assert.ok(rows.length >= 40, `only ${rows.length} vehicles of the event have positions`);
  const newest = new Map(rows.map(({ id, ts, latitude, longitude }) => [id, [ts, latitude, longitude]]));
  using newViewers = await Viewers.connect(stack, 2);
  await eventually(
    () => {
      for (const held of [...viewers.held(), ...newViewers.held()]) {
        const seen = new Map([...held].map(([id, { ts, lat, lon }]) => [id, [ts, lat, lon]]));
        assert.deepEqual(seen, newest);
      }
      return true;
    },
    { timeoutMs: catchUpTimeoutMs, intervalMs: 250 },
  );
}
