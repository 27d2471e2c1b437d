import { densify } from '@app/runtime/postgres';
import type postgres from 'postgres';
import type { Fix } from '../pipeline/decode-entries.ts';

// One text for every batch size, so that each connection prepares it once. Arrays and not one JSON text:
// json_to_recordset costs Postgres as much again as the whole insert. The attributes are split at a control
// character, which no JSON text holds, because quoting them as elements of an array would double every quote.
const incoming = `
  select * from rows from (
    unnest($1::text::text[], $2::text::timestamptz[], $3::text::float8[], $4::text::float8[], $5::text::real[],
           $6::text::real[], $7::text::real[], $8::text::smallint[], $9::text::smallint[], $10::text::text[],
           $11::text::smallint[]),
    string_to_table($12::text, E'\\x1e')
  ) with ordinality as row (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority,
                            codec, quality, attributes, number)`;

// RETURNING stays inside: only the rows that were NOT inserted travel back.
const insertText = `
  with incoming as materialized (${incoming}), inserted as (
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority,
                           codec, quality, attributes)
    select device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality,
           attributes::jsonb
    from incoming
    on conflict (device_id, ts) do nothing
    returning device_id, ts
  )
  select number::int from incoming where (device_id, ts) not in (select device_id, ts from inserted)`;

// Compared in the database, where both sides have been through the same column types. One index probe a row, held to
// that by the limit: as a plain join it is planned for the 1,000 rows that Postgres expects of any function, and
// reads the whole of a table that is small, or new and has no statistics yet.
const differText = `
  select incoming.number::int from (${incoming}) as incoming
  cross join lateral (
    select latitude, longitude, altitude, angle, speed, satellites, priority, attributes from positions
    where positions.device_id = incoming.device_id and positions.ts = incoming.ts
    limit 1
  ) as stored
  where (stored.latitude, stored.longitude, stored.altitude, stored.angle, stored.speed, stored.satellites,
         stored.priority, stored.attributes)
     is distinct from
        (incoming.latitude, incoming.longitude, incoming.altitude, incoming.angle, incoming.speed,
         incoming.satellites, incoming.priority, incoming.attributes::jsonb)`;

/**
 * Inserts rows in one auto-commit statement, idempotent by `(device_id, ts)`. The rows must be in key order,
 * or two writers deadlock, and hold each key once. Durable when it resolves (`synchronous_commit` stays on).
 *
 * @returns the indexes of the rows whose keys were there already; all others are inserted.
 */
export async function insertPositions(sql: postgres.Sql, rows: readonly Fix[]): Promise<readonly number[]> {
  return pickRows(sql, insertText, rows);
}

/** Of rows whose keys are stored: the indexes of those whose content is not what is stored. */
export async function findDifferent(sql: postgres.Sql, rows: readonly Fix[]): Promise<readonly number[]> {
  return pickRows(sql, differText, rows);
}

async function pickRows(sql: postgres.Sql, text: string, rows: readonly Fix[]): Promise<readonly number[]> {
  const picked = await sql.unsafe<{ number: number }[]>(text, encodeRows(rows), { prepare: true });
  return densify(picked).map(({ number }) => number - 1);
}

// IMEIs and codecs hold nothing that needs escaping; but an IMEI may be the word NULL, which only quotes keep a text.
function encodeRows(rows: readonly Fix[]): string[] {
  return [
    arrayOf(rows, ({ position }) => `"${position.deviceId}"`),
    arrayOf(rows, ({ position }) => new Date(position.fixAtMs).toISOString()),
    arrayOf(rows, ({ position }) => position.latitude),
    arrayOf(rows, ({ position }) => position.longitude),
    arrayOf(rows, ({ position }) => position.altitudeM),
    arrayOf(rows, ({ position }) => position.courseDeg),
    arrayOf(rows, ({ position }) => position.speedKmh),
    arrayOf(rows, ({ position }) => position.satellites),
    arrayOf(rows, ({ position }) => position.priority),
    arrayOf(rows, ({ codec }) => codec),
    arrayOf(rows, ({ quality }) => quality),
    rows.map(({ position }) => position.attributesJson).join('\u001e'),
  ];
}

/** An array literal of Postgres: `{1,2,3}`. */
function arrayOf(rows: readonly Fix[], valueOf: (fix: Fix) => string | number): string {
  return `{${rows.map(valueOf).join(',')}}`;
}
