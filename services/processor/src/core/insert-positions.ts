import { encodeAttributes } from '@app/shared/codec';
import type postgres from 'postgres';
import type { Fix } from './decode-entries.ts';

const columns = `
  n int, device_id text, ts timestamptz, latitude float8, longitude float8, altitude real, angle real,
  speed real, satellites smallint, priority smallint, codec text, attributes jsonb, quality smallint`;

// One parameter holds the batch: the statement's text never changes, so each connection prepares it once.
// RETURNING stays inside: only the rows that were NOT inserted travel back.
const insertText = `
  with incoming as materialized (
    select * from json_to_recordset($1::text::json) as row (${columns})
  ), inserted as (
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority,
                           codec, attributes, quality)
    select device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, attributes,
           quality
    from incoming
    on conflict (device_id, ts) do nothing
    returning device_id, ts
  )
  select incoming.n from incoming
  where not exists (
    select from inserted where inserted.device_id = incoming.device_id and inserted.ts = incoming.ts
  )`;

// Compared in the database, where both sides have been through the same column types.
const differText = `
  select incoming.n from json_to_recordset($1::text::json) as incoming (${columns})
  join positions stored using (device_id, ts)
  where (stored.latitude, stored.longitude, stored.altitude, stored.angle, stored.speed, stored.satellites,
         stored.priority, stored.attributes)
     is distinct from
        (incoming.latitude, incoming.longitude, incoming.altitude, incoming.angle, incoming.speed,
         incoming.satellites, incoming.priority, incoming.attributes)`;

/**
 * Inserts rows in one auto-commit statement, idempotent by `(device_id, ts)`. The rows must be in key order,
 * or two writers deadlock, and hold each key once. Durable when it resolves (`synchronous_commit` stays on).
 *
 * @returns the indexes of the rows whose keys were there already; all others are inserted.
 */
export async function insertPositions(sql: postgres.Sql, rows: readonly Fix[]): Promise<readonly number[]> {
  const conflicts = await sql.unsafe<{ n: number }[]>(insertText, [encodeRows(rows)], { prepare: true });
  return conflicts.map(({ n }) => n);
}

/** Of rows whose keys are stored: the indexes of those whose content is not what is stored. */
export async function findDifferent(sql: postgres.Sql, rows: readonly Fix[]): Promise<readonly number[]> {
  const different = await sql.unsafe<{ n: number }[]>(differText, [encodeRows(rows)], { prepare: true });
  return different.map(({ n }) => n);
}

// Written out by hand: JSON.stringify over an object per row costs twice as much, and the attributes are
// JSON already. Texts here are IMEIs and codecs, whose alphabets need no escaping.
function encodeRows(rows: readonly Fix[]): string {
  let json = '[';
  for (const [n, { position, codec, quality }] of rows.entries()) {
    json +=
      `${n === 0 ? '' : ','}{"n":${n},"device_id":"${position.deviceId}","ts":"${new Date(position.fixAtMs).toISOString()}"` +
      `,"latitude":${position.latitude},"longitude":${position.longitude},"altitude":${position.altitudeM}` +
      `,"angle":${position.courseDeg},"speed":${position.speedKmh},"satellites":${position.satellites}` +
      `,"priority":${position.priority},"codec":"${codec}","quality":${quality}` +
      `,"attributes":${encodeAttributes(position.attributes)}}`;
  }
  return `${json}]`;
}
