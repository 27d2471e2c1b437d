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
    insert into entry_devices (id, entry_id, device_id)
    select gen_random_uuid(), ${entry}, device_id
      from unnest(array[${first.id}::uuid, ${nameless}, ${lost}, ${first.id}]) as device_id`;
  const { assignments } = await loadAssignments(fixture.gatewaySql);
  expect(assignments.devicesByEvent.get(eventId)).toEqual(
    new Map(devices.map((device) => [device.imei, device])),
  );
  expect(assignments.devicesByEvent.get(other.eventId)?.size).toBe(2);
  expect(new Set(assignments.eventsByImei.get(first.imei))).toEqual(new Set([eventId, other.eventId]));
});

test('archived devices, entries and their links are left out where the tables have a status', async () => {
  await using fixture = await openFixture();
  const { sql } = fixture;
  const { eventId, devices } = await fixture.addEvent(4);
  const [device, inArchivedEntry, unlinked, draft] = devices;
  await sql`alter table entry_devices add column status text`;
  const shown = async () => {
    const { assignments, unreadableStatus } = await loadAssignments(fixture.gatewaySql);
    expect(unreadableStatus).toEqual([]);
    return new Set(assignments.devicesByEvent.get(eventId)?.keys());
  };
  expect(await shown()).toEqual(new Set(devices.map(({ imei }) => imei)));
  await sql`update devices set status = 'archived' where id = ${device?.id ?? ''}`;
  await sql`
    update entries set status = 'archived'
     where id in (select entry_id from entry_devices where device_id = ${inArchivedEntry?.id ?? ''})`;
  await sql`update entry_devices set status = 'archived' where device_id = ${unlinked?.id ?? ''}`;
  await sql`update devices set status = 'draft' where id = ${draft?.id ?? ''}`;
  expect(await shown()).toEqual(new Set([draft?.imei]));
  // Without the optional columns nothing is archived.
  await sql`alter table devices drop column status`;
  await sql`alter table entries drop column status`;
  await sql`alter table entry_devices drop column status`;
  expect(await shown()).toEqual(new Set(devices.map(({ imei }) => imei)));
});
