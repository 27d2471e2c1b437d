import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import { indexAssignments } from './assignments.ts';
import type { AssignmentRow, Assignments } from './assignments.ts';

/**
 * Reads from Directus' tables which device is in which event. `entry_devices.device_id` is a `devices.id` (a UUID), but
 * `positions.device_id` is a `devices.imei`. Rejects with postgres.js' errors.
 */
export async function loadAssignments(sql: Sql): Promise<Assignments> {
  const rows = await sql<AssignmentRow[]>`
    select distinct entries.event_id::text as "eventId", devices.id::text as "deviceId", devices.imei
      from entry_devices
      join entries on entries.id = entry_devices.entry_id
      join devices on devices.id = entry_devices.device_id
     where entries.event_id is not null
       and devices.imei <> ''`;
  return indexAssignments(densify(rows));
}
