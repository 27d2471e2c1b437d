import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';

/** A device whose fixes of a running event must be observed again. */
export interface DirtyDevice {
  readonly eventId: string;
  readonly deviceId: string;
}

/** Marks devices, once more if they are marked: the evaluator deletes only the marks that it knew before it observed. */
export async function markDirty(sql: Sql, devices: readonly DirtyDevice[]): Promise<void> {
  // Ordered, or two processors could deadlock.
  await sql.unsafe(
    `insert into dirty_entries (event_id, device_id)
     select distinct event_id, device_id
       from json_to_recordset($1::text::json) as dirty (event_id uuid, device_id text)
      order by event_id, device_id
     on conflict (event_id, device_id) do update set changes = dirty_entries.changes + 1`,
    [JSON.stringify(devices.map(({ eventId, deviceId }) => ({ event_id: eventId, device_id: deviceId })))],
  );
}

export interface DirtyMark {
  readonly deviceId: string;
  /** Grows whenever the device is marked again. */
  readonly changes: number;
}

export async function listDirty(sql: Sql, eventId: string): Promise<readonly DirtyMark[]> {
  return densify(
    await sql.unsafe<DirtyMark[]>(
      `select device_id as "deviceId", changes::float8 as changes from dirty_entries where event_id = $1::uuid`,
      [eventId],
    ),
  );
}

/** Deletes marks that did not grow since they were listed. */
export async function unmarkDirty(sql: Sql, eventId: string, marks: readonly DirtyMark[]): Promise<void> {
  await sql.unsafe(
    `delete from dirty_entries
      where event_id = $1::uuid
        and (device_id, changes) in (
          select device_id, changes
            from json_to_recordset($2::text::json) as known (device_id text, changes bigint))`,
    [eventId, JSON.stringify(marks.map(({ deviceId, changes }) => ({ device_id: deviceId, changes })))],
  );
}
