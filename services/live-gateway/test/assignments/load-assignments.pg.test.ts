import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { openFixture } from '../support/open-fixture.ts';
import { loadAssignments } from '../../src/assignments/load-assignments.ts';

test('assignments are read from the entries of each event, without devices that have no IMEI', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(2);
  const other = await fixture.addEvent(1);
  const [first] = devices;
  if (first === undefined) throw new Error('no device');
  const [nameless, lost] = [randomUUID(), randomUUID()];
  await fixture.sql`insert into devices (id, imei) values (${nameless}, null), (${lost}, '')`;
  const entry = randomUUID();
  await fixture.sql`insert into entries (id, event_id) values (${entry}, ${other.eventId})`;
  // A device in two events, and one without an IMEI.
  await fixture.sql`
    insert into entry_devices (entry_id, device_id)
    values (${entry}, ${first.id}), (${entry}, ${nameless}), (${entry}, ${lost}), (${entry}, ${first.id})`;
  const assignments = await loadAssignments(fixture.gatewaySql);
  expect(assignments.devicesByEvent.get(eventId)).toEqual(
    new Map(devices.map((device) => [device.imei, device])),
  );
  expect(assignments.devicesByEvent.get(other.eventId)?.size).toBe(2);
  expect(new Set(assignments.eventsByImei.get(first.imei))).toEqual(new Set([eventId, other.eventId]));
});
