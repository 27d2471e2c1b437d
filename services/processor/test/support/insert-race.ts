import type { Sql } from 'postgres';

/** Ids of what `insertRace` inserts: `id('gate', 2)` is the second gate. */
export function idOf(kind: keyof typeof digits, n: number): string {
  return `00000000-0000-4000-8000-0000000000${digits[kind]}${n}`;
}

const digits = {
  event: 'e',
  stage: 'a',
  gate: 'b',
  waypoint: 'c',
  zone: 'd',
  entry: '1',
  device: '2',
  assignment: '3',
  decision: '4',
  user: '5',
} as const;

/** An event with everything that a course may have: two stages, three gates, two waypoints, two zones, two entries. */
export async function insertRace(sql: Sql): Promise<{ readonly eventId: string }> {
  const line = JSON.stringify({
    type: 'LineString',
    coordinates: [
      [25, 62],
      [25.1, 62],
    ],
  });
  const polygon = JSON.stringify({
    type: 'Feature',
    geometry: {
      type: 'Polygon',
      coordinates: [
        [
          [25.04, 61.99],
          [25.06, 61.99],
          [25.06, 62.01],
          [25.04, 61.99],
        ],
      ],
    },
  });
  await sql`
    insert into events (id, name, start_at, end_at, race_status, thresholds)
    values (${idOf('event', 1)}, 'Rally', '2026-07-04 08:00Z', '2026-07-05 18:00Z', 'running',
            '{"standingAfterS": 120}')`;
  await sql`insert into directus_users (id) values (${idOf('user', 1)})`;
  await sql`
    insert into stages (id, event_id, name, order_number, kind, line, start_at, start_interval_s, start_by, time_limit_s)
    values (${idOf('stage', 1)}, ${idOf('event', 1)}, 'SS 1', 1, 'special', ${line}::text::json,
            '2026-07-04 09:00:00.250Z', 30, 'gate', 3600)`;
  await sql`insert into stages (id, event_id, name, order_number) values (${idOf('stage', 2)}, ${idOf('event', 1)}, 'SS 2', 2)`;
  await sql`
    insert into gates (id, stage_id, name, order_number, kind, left_latitude, left_longitude, right_latitude,
                       right_longitude, direction, dead_time_s, crossing)
    values (${idOf('gate', 1)}, ${idOf('stage', 1)}, 'Start', 1, 'start', 62.00012345, 25.001, 61.99987655, 25.001,
            'both', 5, 'last')`;
  await sql`
    insert into gates (id, stage_id, name, order_number, left_latitude, left_longitude, right_latitude, right_longitude)
    values (${idOf('gate', 2)}, ${idOf('stage', 1)}, 'Split', 2, 62.0001, 25.05, 61.9999, 25.05)`;
  await sql`
    insert into gates (id, stage_id, name, order_number, kind, left_latitude, left_longitude, right_latitude, right_longitude)
    values (${idOf('gate', 3)}, ${idOf('stage', 1)}, 'Finish', 3, 'finish', 62.0001, 25.099, 61.9999, 25.099)`;
  await sql`
    insert into waypoints (id, stage_id, name, order_number, kind, latitude, longitude, radius_m, is_any_order,
                           missed_penalty_s)
    values (${idOf('waypoint', 1)}, ${idOf('stage', 1)}, 'WP 1', 1, 'visible', 62, 25.02, 20.1, true, 60)`;
  await sql`
    insert into waypoints (id, stage_id, name, order_number, kind, latitude, longitude, radius_m)
    values (${idOf('waypoint', 2)}, ${idOf('stage', 1)}, 'WP 2', 2, 'hidden', 62, 25.08, 90)`;
  await sql`
    insert into zones (id, stage_id, name, polygon, limit_kmh, tolerance_kmh, grace_m, minimum_duration_s, penalty_factor)
    values (${idOf('zone', 1)}, ${idOf('stage', 1)}, 'Village', ${polygon}::text::json, 50, 2.5, 30, 1.5, 5)`;
  await sql`
    insert into zones (id, stage_id, name, kind, from_waypoint_id, to_waypoint_id)
    values (${idOf('zone', 2)}, ${idOf('stage', 1)}, 'Service', 'protected', ${idOf('waypoint', 1)}, ${idOf('waypoint', 2)})`;
  await sql`
    insert into entries (id, event_id, name, number, class, crew, start_order, start_at, race_status)
    values (${idOf('entry', 1)}, ${idOf('event', 1)}, 'One', '1', 'RC2', 'A / B', 1, '2026-07-04 09:05Z', 'dnf')`;
  await sql`insert into entries (id, event_id, name) values (${idOf('entry', 2)}, ${idOf('event', 1)}, 'No. 2')`;
  await sql`insert into devices (id, imei) values (${idOf('device', 1)}, '356307042441013'), (${idOf('device', 2)}, '356307042441021')`;
  await sql`
    insert into entry_devices (id, entry_id, device_id, order_number, from_at, until_at)
    values (${idOf('assignment', 1)}, ${idOf('entry', 1)}, ${idOf('device', 1)}, 2, '2026-07-04 07:00Z', '2026-07-04 20:00Z')`;
  await sql`
    insert into entry_devices (id, entry_id, device_id)
    values (${idOf('assignment', 2)}, ${idOf('entry', 2)}, ${idOf('device', 2)})`;
  await sql`
    insert into decisions (id, entry_id, kind, gate_id, at, corrected_at, milliseconds, reason, decided_at, decided_by)
    values (${idOf('decision', 1)}, ${idOf('entry', 1)}, 'passing_corrected', ${idOf('gate', 2)}, '2026-07-04 09:10Z',
            '2026-07-04 09:10:02Z', 345, 'Photocell', '2026-07-04 10:00Z', ${idOf('user', 1)})`;
  await sql`
    insert into decisions (id, entry_id, kind, stage_id, penalty_s, decided_at)
    values (${idOf('decision', 2)}, ${idOf('entry', 2)}, 'penalty', ${idOf('stage', 1)}, 10.5, '2026-07-04 10:01Z')`;
  return { eventId: idOf('event', 1) };
}
