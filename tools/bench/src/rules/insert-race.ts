import type { Race } from '@app/race/course';
import type { Sql } from 'postgres';

/** Inserts a race into Directus' tables, as an event that is running or not. */
export async function insertRace(sql: Sql, race: Race, raceStatus: 'planned' | 'running'): Promise<void> {
  const { event } = race;
  await sql`
    insert into events (id, name, start_at, race_status)
    values (${event.id}, ${event.name}, ${new Date(event.startAtMs ?? 0)}, ${raceStatus})`;
  for (const [rows, statement] of [
    [race.stages, insertStages],
    [race.gates, insertGates],
    [race.waypoints, insertWaypoints],
    [race.zones, insertZones],
    [race.entries, insertEntries],
    [race.assignments, insertDevices],
    [race.assignments, insertAssignments],
  ] as const) {
    // One JSON parameter for all rows, with the members of `Race` as columns.
    await sql.unsafe(statement, [
      JSON.stringify(rows.map((row) => Object.assign({ eventId: event.id }, row))),
    ]);
  }
}

const insertStages = `
  insert into stages (id, event_id, name, order_number, start_by, start_at, line)
  select id, "eventId", name, "order", "startBy", to_timestamp("startAtMs" / 1000),
         json_build_object('type', 'LineString', 'coordinates', line)
    from json_to_recordset($1::text::json) as row (
      id uuid, "eventId" uuid, name text, "order" int, "startBy" text, "startAtMs" float8, line json)`;

const insertGates = `
  insert into gates (id, stage_id, name, order_number, kind, crossing, left_latitude, left_longitude, right_latitude,
                     right_longitude)
  select id, "stageId", name, "order", kind, crossing, ("left" ->> 'latitude')::numeric, ("left" ->> 'longitude')::numeric,
         ("right" ->> 'latitude')::numeric, ("right" ->> 'longitude')::numeric
    from json_to_recordset($1::text::json) as row (
      id uuid, "stageId" uuid, name text, "order" int, kind text, crossing text, "left" json, "right" json)`;

const insertWaypoints = `
  insert into waypoints (id, stage_id, name, order_number, kind, latitude, longitude, radius_m, missed_penalty_s)
  select id, "stageId", name, "order", kind, (position ->> 'latitude')::numeric, (position ->> 'longitude')::numeric,
         "radiusM", "missedPenaltyS"
    from json_to_recordset($1::text::json) as row (
      id uuid, "stageId" uuid, name text, "order" int, kind text, position json, "radiusM" real, "missedPenaltyS" int)`;

const insertZones = `
  insert into zones (id, stage_id, name, kind, limit_kmh, tolerance_kmh, grace_m, minimum_duration_s, polygon)
  select id, "stageId", name, kind, "limitKmh", "toleranceKmh", "graceM", "minimumDurationS",
         json_build_object('type', 'Polygon', 'coordinates', json_build_array(area -> 'polygon'))
    from json_to_recordset($1::text::json) as row (
      id uuid, "stageId" uuid, name text, kind text, "limitKmh" real, "toleranceKmh" real, "graceM" int,
      "minimumDurationS" real, area json)`;

const insertEntries = `
  insert into entries (id, event_id, name, number, crew, class, start_order)
  select id, "eventId", crew, number, crew, class, "startOrder"
    from json_to_recordset($1::text::json) as row (
      id uuid, "eventId" uuid, number text, crew text, class text, "startOrder" int)`;

const insertDevices = `
  insert into devices (id, imei)
  select gen_random_uuid(), "deviceId" from json_to_recordset($1::text::json) as row ("deviceId" text)
  on conflict do nothing`;

const insertAssignments = `
  insert into entry_devices (id, entry_id, device_id)
  select row.id, "entryId", devices.id
    from json_to_recordset($1::text::json) as row (id uuid, "entryId" uuid, "deviceId" text)
    join devices on imei = "deviceId"`;
