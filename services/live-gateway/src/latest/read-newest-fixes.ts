import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import type { LatestFix } from './latest-fixes.ts';

/** A device, and the fix time of its latest fix in this process, if it has one. */
export interface NewestFixQuery {
  readonly deviceId: string;
  readonly heldFixAtMs: number | undefined;
}

export interface NewestFixResult {
  readonly deviceId: string;
  /** The newest fix within the look-back that is neither flagged nor marked faulty. */
  readonly newest: LatestFix | undefined;
  /** `heldFixAtMs`, if that fix is marked faulty. */
  readonly heldFaultyFixAtMs: number | undefined;
  /** Fix time of the newest fix marked faulty, if it is newer than `newest`. */
  readonly faultyFixAtMs: number | undefined;
}

interface Row {
  readonly device_id: string;
  readonly held_at_ms: number | null;
  readonly is_held_faulty: boolean;
  readonly faulty_at_ms: number | null;
  readonly fix_at_ms: number | null;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude: number;
  readonly angle: number;
  readonly speed: number;
}

/**
 * Reads the newest fix without a quality flag and not marked faulty of every device: one query, with two probes of the
 * unique index `(device_id, ts desc)` per device.
 *
 * @param lookbackMs limits each probe, and with a hypertable the chunks it opens.
 * @returns one result per query, in no particular order. Rejects with postgres.js' errors.
 */
export async function readNewestFixes(
  sql: Sql,
  queries: readonly NewestFixQuery[],
  lookbackMs: number,
): Promise<readonly NewestFixResult[]> {
  if (queries.length === 0) return [];
  // JSON: the services' Postgres clients do not fetch array types.
  const requested = queries.map(({ deviceId, heldFixAtMs }) => ({
    device_id: deviceId,
    held_at_ms: heldFixAtMs ?? null,
  }));
  // Fix times are whole milliseconds here; a row written by hand may be finer, so the query compares a range.
  const rows = await sql<Row[]>`
    select requested.device_id,
           requested.held_at_ms,
           exists (
             select from positions held
              where held.device_id = requested.device_id
                and held.ts >= to_timestamp(requested.held_at_ms / 1000)
                and held.ts < to_timestamp((requested.held_at_ms + 1) / 1000)
                and held.faulty
           ) as is_held_faulty,
           -- Cheap: the rows after the newest good fix have just been read by the search for it.
           (select floor(extract(epoch from faulty.ts) * 1000)::float8
              from positions faulty
             where faulty.device_id = requested.device_id
               and faulty.ts > coalesce(newest.ts, now() - ${lookbackMs}::float8 * interval '1 millisecond')
               and faulty.faulty
             order by faulty.ts desc
             limit 1
           ) as faulty_at_ms,
           floor(extract(epoch from newest.ts) * 1000)::float8 as fix_at_ms,
           newest.latitude, newest.longitude, newest.altitude, newest.angle, newest.speed
      from json_to_recordset(${JSON.stringify(requested)}::text::json) as requested (device_id text, held_at_ms float8)
      left join lateral (
        select position.ts, position.latitude, position.longitude,
               position.altitude, position.angle, position.speed
          from positions position
         where position.device_id = requested.device_id
           and position.ts > now() - ${lookbackMs}::float8 * interval '1 millisecond'
           and position.quality = 0
           and not position.faulty
         order by position.ts desc
         limit 1
      ) newest on true`;
  return densify(rows).map(toResult);
}

function toResult(row: Row): NewestFixResult {
  return {
    deviceId: row.device_id,
    heldFaultyFixAtMs: row.is_held_faulty && row.held_at_ms !== null ? row.held_at_ms : undefined,
    faultyFixAtMs: row.faulty_at_ms ?? undefined,
    newest:
      row.fix_at_ms === null
        ? undefined
        : {
            deviceId: row.device_id,
            fixAtMs: row.fix_at_ms,
            latitude: row.latitude,
            longitude: row.longitude,
            altitudeM: row.altitude,
            courseDeg: row.angle,
            speedKmh: row.speed,
            arrivedAtMs: undefined,
            entryRef: undefined,
          },
  };
}
