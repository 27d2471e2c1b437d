import type { Sql } from 'postgres';

/**
 * The columns of Directus' tables that the services read, with their real types: a text column in place of a UUID would
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
      status varchar(255) default 'published',
      start_at timestamptz,
      end_at timestamptz,
      race_status varchar(255) default 'planned',
      thresholds json
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
      status varchar(255) default 'published',
      number varchar(255),
      class varchar(255),
      crew varchar(255),
      start_order integer,
      start_at timestamptz,
      race_status varchar(255) default 'entered'
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
      device_id uuid references devices (id) on delete cascade,
      order_number integer default 1,
      from_at timestamptz,
      until_at timestamptz
    )`;
  await createCourseTables(sql);
}

/** Columns that the shipped collections require may be empty here, as in collections that were set up by hand. */
async function createCourseTables(sql: Sql): Promise<void> {
  await sql`
    create table if not exists stages (
      id uuid primary key,
      name varchar(255),
      event_id uuid references events (id) on delete cascade,
      order_number integer,
      kind varchar(255) default 'special',
      line json,
      start_at timestamptz,
      start_interval_s integer default 60,
      start_by varchar(255) default 'schedule',
      time_limit_s integer,
      status varchar(255) default 'published'
    )`;
  await sql`
    create table if not exists gates (
      id uuid primary key,
      name varchar(255),
      stage_id uuid references stages (id) on delete cascade,
      order_number integer,
      kind varchar(255) default 'split',
      left_latitude numeric(11, 8),
      left_longitude numeric(11, 8),
      right_latitude numeric(11, 8),
      right_longitude numeric(11, 8),
      direction varchar(255) default 'forward',
      dead_time_s integer default 10,
      crossing varchar(255) default 'first'
    )`;
  await sql`
    create table if not exists waypoints (
      id uuid primary key,
      name varchar(255),
      stage_id uuid references stages (id) on delete cascade,
      order_number integer,
      kind varchar(255) default 'visible',
      latitude numeric(11, 8),
      longitude numeric(11, 8),
      radius_m real,
      is_any_order boolean default false,
      missed_penalty_s integer default 0
    )`;
  await sql`
    create table if not exists zones (
      id uuid primary key,
      name varchar(255),
      stage_id uuid references stages (id) on delete cascade,
      kind varchar(255) default 'speed',
      polygon json,
      from_waypoint_id uuid references waypoints (id) on delete set null,
      to_waypoint_id uuid references waypoints (id) on delete set null,
      limit_kmh real,
      tolerance_kmh real default 0,
      grace_m integer default 0,
      minimum_duration_s real default 0,
      penalty_factor real default 10
    )`;
  await sql`
    create table if not exists decisions (
      id uuid primary key,
      entry_id uuid references entries (id) on delete cascade,
      kind varchar(255),
      stage_id uuid references stages (id) on delete set null,
      gate_id uuid references gates (id) on delete set null,
      waypoint_id uuid references waypoints (id) on delete set null,
      zone_id uuid references zones (id) on delete set null,
      "at" timestamptz,
      corrected_at timestamptz,
      milliseconds integer default 0,
      decided_status varchar(255),
      penalty_s numeric(10, 3),
      incident varchar(255),
      reason text,
      decided_at timestamptz default current_timestamp,
      decided_by uuid references directus_users (id) on delete set null
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
