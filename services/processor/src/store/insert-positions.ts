import { densify } from '@app/runtime/postgres';
import type postgres from 'postgres';
import type { Fix } from '../fix.ts';
import { timeLiteral } from './time-slices.ts';

// One statement for every batch size, so that each connection prepares it once. Arrays, because json_to_recordset
// costs Postgres as much as the insert itself. The attributes are joined by a control character, which cannot occur
// in JSON: as array elements, every quote in them would have to be escaped.
const incoming = `
  select * from rows from (
    unnest($1::text::text[], $2::text::timestamptz[], $3::text::float8[], $4::text::float8[], $5::text::real[],
           $6::text::real[], $7::text::real[], $8::text::smallint[], $9::text::smallint[], $10::text::text[],
           $11::text::smallint[]),
    string_to_table($12::text, E'\\x1e')
  ) with ordinality as row (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority,
                            codec, quality, attributes, number)`;

/** Where fixes are stored: those past the limit apart, in a plain table, since each of their days would be a chunk. */
export type PositionsTable = 'positions' | 'positions_past_limit';

// What race control has marked before it arrived. Mostly there are no marks, which is asked once a statement.
const isMarked = `
  case when exists (select from faulty_marks) then exists (
    select from faulty_marks as mark
     where mark.imei = incoming.device_id and incoming.ts between mark.from_at and mark.until_at and mark.problem is null
  ) else false end`;

// RETURNING stays inside the CTE: only the rows that were not inserted are sent back.
const insertStatement = (table: PositionsTable): string => `
  with incoming as materialized (${incoming}), inserted as (
    insert into ${table} (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority,
                           codec, quality, attributes, faulty)
    select device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality,
           attributes::jsonb, ${isMarked}
    from incoming
    on conflict (device_id, ts) do nothing
    returning device_id, ts
  )
  select number::int from incoming where (device_id, ts) not in (select device_id, ts from inserted)`;

// Compared in Postgres, after both sides were converted to the column types. The limit forces one index probe per row:
// a plain join is planned for the default estimate of 1,000 rows per function, and scans the whole table if it is small
// or has no statistics yet. The range of times leaves the other chunks of a hypertable out of the plan.
const differStatement = (table: PositionsTable, fromMs: number, toMs: number): string => `
  select incoming.number::int from (${incoming}) as incoming
  cross join lateral (
    select latitude, longitude, altitude, angle, speed, satellites, priority, attributes
    from ${table} as kept
    where kept.device_id = incoming.device_id and kept.ts = incoming.ts
      and kept.ts between ${timeLiteral(fromMs)} and ${timeLiteral(toMs)}
    limit 1
  ) as stored
  where (stored.latitude, stored.longitude, stored.altitude, stored.angle, stored.speed, stored.satellites,
         stored.priority, stored.attributes)
     is distinct from
        (incoming.latitude, incoming.longitude, incoming.altitude, incoming.angle, incoming.speed,
         incoming.satellites, incoming.priority, incoming.attributes::jsonb)`;

/**
 * Inserts rows in one auto-commit statement, idempotent by `(device_id, ts)`. The rows must be sorted by key, or two
 * writers can deadlock, and each key must occur once. Durable when it resolves (`synchronous_commit` is on).
 *
 * @returns the indexes of the rows whose keys already existed; all others were inserted.
 */
export async function insertPositions(
  sql: postgres.Sql,
  rows: readonly Fix[],
  table: PositionsTable = 'positions',
): Promise<readonly number[]> {
  const existing = await sql.unsafe<RowNumber[]>(insertStatement(table), encodeRows(rows), { prepare: true });
  return toIndexes(existing);
}

/** Returns the indexes of the rows whose key is stored with different content. */
export async function findDifferent(
  sql: postgres.Sql,
  rows: readonly Fix[],
  table: PositionsTable = 'positions',
): Promise<readonly number[]> {
  const times = rows.map(({ position }) => position.fixAtMs);
  const statement = differStatement(table, Math.min(...times), Math.max(...times));
  return toIndexes(await sql.unsafe<RowNumber[]>(statement, encodeRows(rows)));
}

interface RowNumber {
  readonly number: number;
}

function toIndexes(rows: readonly RowNumber[]): readonly number[] {
  return densify(rows).map(({ number }) => number - 1);
}

// IMEIs and codecs contain nothing that needs escaping, but an IMEI may be NULL, which is a string only in quotes.
function encodeRows(rows: readonly Fix[]): string[] {
  return [
    encodeArray(rows, ({ position }) => `"${position.deviceId}"`),
    encodeArray(rows, ({ position }) => new Date(position.fixAtMs).toISOString()),
    encodeArray(rows, ({ position }) => position.latitude),
    encodeArray(rows, ({ position }) => position.longitude),
    encodeArray(rows, ({ position }) => position.altitudeM),
    encodeArray(rows, ({ position }) => position.courseDeg),
    encodeArray(rows, ({ position }) => position.speedKmh),
    encodeArray(rows, ({ position }) => position.satellites),
    encodeArray(rows, ({ position }) => position.priority),
    encodeArray(rows, ({ codec }) => codec),
    encodeArray(rows, ({ quality }) => quality),
    rows.map(({ position }) => position.attributesJson).join('\u001e'),
  ];
}

/** Encodes a Postgres array literal: `{1,2,3}`. */
function encodeArray(rows: readonly Fix[], valueOf: (fix: Fix) => string | number): string {
  return `{${rows.map(valueOf).join(',')}}`;
}
