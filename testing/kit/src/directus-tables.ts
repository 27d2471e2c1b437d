import type { Sql } from 'postgres';

/**
 * The columns of Directus' tables that the gateway reads, with their real types: a text column in place of a UUID would
 * accept a comparison that fails in production.
 */
export async function createDirectusTables(sql: Sql): Promise<void> {
  await sql`
    create table if not exists directus_users (
      id uuid primary key,
      email varchar(255) unique,
      status varchar(16) not null default 'active'
    )`;
  await sql`create table if not exists events (
      id uuid primary key,
      name varchar(255),
      status varchar(255) default 'published'
    )`;
  await sql`
    create table if not exists devices (
      id uuid primary key,
      imei varchar(255) unique,
      status varchar(255) default 'published'
    )`;
  await sql`
    create table if not exists entries (
      id uuid primary key,
      name varchar(255),
      event_id uuid references events (id) on delete cascade,
      status varchar(255) default 'published'
    )`;
  await sql`
    create table if not exists event_viewers (
      id uuid primary key,
      event_id uuid references events (id) on delete cascade,
      user_id uuid references directus_users (id) on delete cascade
    )`;
  await sql`
    create table if not exists entry_devices (
      id uuid primary key,
      entry_id uuid references entries (id) on delete cascade,
      device_id uuid references devices (id) on delete cascade
    )`;
}

export interface SeededEvent {
  readonly eventId: string;
  /** `id` is the device's UUID, `imei` what trackers and `positions.device_id` call it. */
  readonly devices: readonly { readonly id: string; readonly imei: string }[];
}

/** Adds an event with one entry per device. A device that already exists joins this event as well. */
export async function seedEvent(sql: Sql, event: SeededEvent): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`insert into events (id) values (${event.eventId}) on conflict do nothing`;
    if (event.devices.length === 0) return;
    // One JSON parameter: arrays need types that the caller's connection may not have fetched.
    const devices = JSON.stringify(event.devices);
    await transaction`
      insert into devices (id, imei)
      select id, imei from json_to_recordset(${devices}::text::json) as device (id uuid, imei text)
      on conflict (id) do nothing`;
    await transaction`
      with device as (
        select id as device_id, gen_random_uuid() as entry_id
          from json_to_recordset(${devices}::text::json) as device (id uuid)
      ), entry as (
        insert into entries (id, event_id) select entry_id, ${event.eventId}::uuid from device
      )
      insert into entry_devices (id, entry_id, device_id)
      select gen_random_uuid(), entry_id, device_id from device`;
  });
}
