import type { Sql } from 'postgres';

/**
 * Lets the database raise `sqlState` for each inserted row of this device, or for every row if the device is `*`.
 * Simulates a full disk or a new constraint.
 */
export async function refuseRows(sql: Sql, deviceId: string, sqlState: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`
      create table if not exists refused_rows (device_id text primary key, sql_state text not null)`;
    await transaction`
      create or replace function refuse_row() returns trigger language plpgsql as $$
      declare state text;
      begin
        select sql_state into state from refused_rows where device_id in (new.device_id, '*');
        if found then
          raise exception 'refused for a test' using errcode = state;
        end if;
        return new;
      end $$`;
    await transaction`
      create or replace trigger refuse_row before insert on positions
      for each row execute function refuse_row()`;
    await transaction`insert into refused_rows values (${deviceId}, ${sqlState})`;
  });
}

/** Undoes `refuseRows` for a device or `*`. */
export async function acceptRows(sql: Sql, deviceId: string): Promise<void> {
  await sql`delete from refused_rows where device_id = ${deviceId}`;
}
