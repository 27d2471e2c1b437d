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

/** Devices of one statement: few enough to finish before its timeout. */
const maxDevices = 250;

/**
 * Reads the newest fix without a quality flag and not marked faulty of every device, with two probes of the unique index
 * `(device_id, ts desc)` per device, or per device and chunk of a hypertable.
 *
 * @param sinceMs limits every probe, so that a statement costs the same however long the history is.
 * @param run runs one statement.
 * @returns one result per query, in no particular order. Rejects with postgres.js' errors.
 */
export async function readNewestFixes(
  run: <T>(statement: (sql: Sql) => PromiseLike<T>) => Promise<T>,
  queries: readonly NewestFixQuery[],
  sinceMs: number,
): Promise<readonly NewestFixResult[]> {
  const results: NewestFixResult[] = [];
  for (let from = 0; from < queries.length; from += maxDevices) {
    const some = queries.slice(from, from + maxDevices);
    results.push(...(await run((sql) => selectNewestFixes(sql, some, sinceMs))));
  }
  return results;
}

async function selectNewestFixes(
  sql: Sql,
  queries: readonly NewestFixQuery[],
  sinceMs: number,
): Promise<readonly NewestFixResult[]> {
  // JSON: the services' Postgres clients do not fetch array types.
  const requested = queries.map(({ deviceId, heldFixAtMs }) => ({
    device_id: deviceId,
    held_at_ms: heldFixAtMs ?? null,
  }));
  // A literal: TimescaleDB leaves chunks out of a plan by constants only, and neither by a parameter nor by now().
  const since = `timestamptz '${new Date(sinceMs).toISOString()}'`;
  // Fix times are whole milliseconds here; a row written by hand may be finer, so the query compares a range.
  const rows = await sql.unsafe<Row[]>(
    `
    select requested.device_id,
           requested.held_at_ms,
           exists (
             select from positions held
              where held.device_id = requested.device_id
                and held.ts >= ${since}
                and held.ts >= to_timestamp(requested.held_at_ms / 1000)
                and held.ts < to_timestamp((requested.held_at_ms + 1) / 1000)
                and held.faulty
           ) as is_held_faulty,
           -- Cheap: the rows after the newest good fix have just been read by the search for it.
           (select floor(extract(epoch from faulty.ts) * 1000)::float8
              from positions faulty
             where faulty.device_id = requested.device_id
               and faulty.ts > ${since}
               and faulty.ts > coalesce(newest.ts, ${since})
               and faulty.faulty
             order by faulty.ts desc
             limit 1
           ) as faulty_at_ms,
           floor(extract(epoch from newest.ts) * 1000)::float8 as fix_at_ms,
           newest.latitude, newest.longitude, newest.altitude, newest.angle, newest.speed
      from json_to_recordset($1::text::json) as requested (device_id text, held_at_ms float8)
      left join lateral (
        select position.ts, position.latitude, position.longitude,
               position.altitude, position.angle, position.speed
          from positions position
         where position.device_id = requested.device_id
           and position.ts > ${since}
           and position.quality = 0
           and not position.faulty
         order by position.ts desc
         limit 1
      ) newest on true`,
    [JSON.stringify(requested)],
  );
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
