import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import { indexAssignments } from './assignments.ts';
import type { AssignmentRow, Assignments } from './assignments.ts';

export interface LoadedAssignments {
  readonly assignments: Assignments;
  /** Tables with a `status` that the gateway may not read, so that their archived rows are not left out. */
  readonly unreadableStatus: readonly string[];
}

/**
 * Reads from Directus' tables which device is in which event. `entry_devices.device_id` is a `devices.id` (a UUID), but
 * `positions.device_id` is a `devices.imei`. Rows whose `status` is `archived` are left out; the column is optional.
 * Rejects with postgres.js' errors.
 */
export async function loadAssignments(sql: Sql): Promise<LoadedAssignments> {
  const columns = await sql<{ table: string; isReadable: boolean }[]>`
    select attrelid::regclass::text as "table", has_column_privilege(attrelid, attnum, 'select') as "isReadable"
      from pg_attribute
     where attname = 'status' and not attisdropped
       and attrelid in (to_regclass('entries'), to_regclass('entry_devices'), to_regclass('devices'))`;
  const withStatus = densify(columns);
  const isShown = (table: string): string =>
    withStatus.some((column) => column.table === table && column.isReadable)
      ? `and ${table}.status::text is distinct from 'archived'`
      : '';
  // Not a template: behind a pooler those have no parts.
  const rows = await sql.unsafe<AssignmentRow[]>(`
    select distinct entries.event_id::text as "eventId", devices.id::text as "deviceId", devices.imei
      from entry_devices
      join entries on entries.id = entry_devices.entry_id
      join devices on devices.id = entry_devices.device_id
     where entries.event_id is not null
       and devices.imei <> '' ${isShown('entries')} ${isShown('entry_devices')} ${isShown('devices')}`);
  return {
    assignments: indexAssignments(densify(rows)),
    unreadableStatus: withStatus.filter(({ isReadable }) => !isReadable).map(({ table }) => table),
  };
}
