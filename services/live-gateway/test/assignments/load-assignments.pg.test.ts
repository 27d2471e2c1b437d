import { randomUUID } from 'node:crypto';
import { DeadlineError } from '@app/runtime/deadline';
import { expect, test } from 'vitest';
import postgres from 'postgres';
import { openFixture } from '../support/open-fixture.ts';
import { loadAssignments } from '../../src/assignments/load-assignments.ts';
import { PostgresSource } from '../../src/assignments/postgres-source.ts';

test('assignments come from the entries of an event, by IMEI, and a device without one is left out', async () => {
  await using world = await openFixture();
  const { eventId, devices } = await world.addEvent(2);
  const other = await world.addEvent(1);
  const [first] = devices;
  if (first === undefined) throw new Error('no device');
  const [nameless, lost] = [randomUUID(), randomUUID()];
  await world.sql`insert into devices (id, imei) values (${nameless}, null), (${lost}, '')`;
  const entry = randomUUID();
  await world.sql`insert into entries (id, event_id) values (${entry}, ${other.eventId})`;
  // A device in two events, and one without an IMEI.
  await world.sql`
    insert into entry_devices (entry_id, device_id)
    values (${entry}, ${first.id}), (${entry}, ${nameless}), (${entry}, ${lost}), (${entry}, ${first.id})`;
  const assignments = await loadAssignments(world.gatewaySql);
  expect(assignments.devicesByEvent.get(eventId)).toEqual(
    new Map(devices.map((device) => [device.imei, device])),
  );
  expect(assignments.devicesByEvent.get(other.eventId)?.size).toBe(2);
  expect(new Set(assignments.eventsByImei.get(first.imei))).toEqual(new Set([eventId, other.eventId]));
});

test('a Postgres that does not answer in time is asked anew over a new connection', async () => {
  await using world = await openFixture();
  let connected = 0;
  await using source = new PostgresSource(() => {
    connected += 1;
    return postgres(world.postgresUrl, { max: 1 });
  }, 300);
  await expect(source.ask('sleeping', (sql) => sql`select pg_sleep(60)`)).rejects.toBeInstanceOf(
    DeadlineError,
  );
  const rows = await source.ask('asking', (sql) => sql`select 1 as one`);
  expect(rows[0]?.['one']).toBe(1);
  expect(connected).toBe(2);
});
