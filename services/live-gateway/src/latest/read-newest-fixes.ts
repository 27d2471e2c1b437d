import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import type { LatestFix } from './latest-fixes.ts';

/** A device to ask about, and the fix time that is held of it, if any. */
export interface NewestFixQuestion {
  readonly deviceId: string;
  readonly heldFixAtMs: number | undefined;
}

export interface NewestFixAnswer {
  readonly deviceId: string;
  /** The newest fix within the look-back that is neither flagged nor faulty. */
  readonly newest: LatestFix | undefined;
  /** The fix that was held when the question was asked, if an operator has marked it faulty since. */
  readonly heldFaultyAtMs: number | undefined;
  /** The newest fix that is marked faulty, if it is newer than the newest good one. */
  readonly faultyAtMs: number | undefined;
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
 * Asks Postgres for the newest good fix of every device: one query for all of them, two probes of the unique
 * index `(device_id, ts desc)` each. Good is what moves a marker: no quality flag, not marked faulty.
 *
 * @param lookbackMs bounds each probe, and with a hypertable the chunks that it opens.
 * @returns one answer per question, in no particular order. Rejects with postgres.js' errors.
 */
export async function readNewestFixes(
  sql: Sql,
  questions: readonly NewestFixQuestion[],
  lookbackMs: number,
): Promise<readonly NewestFixAnswer[]> {
  if (questions.length === 0) return [];
  // As a text: the services' clients know no array types.
  const asked = questions.map(({ deviceId, heldFixAtMs }) => ({
    device_id: deviceId,
    held_at_ms: heldFixAtMs ?? null,
  }));
  // A fix is held in whole milliseconds, a row written by hand may be finer: hence the span instead of an equality.
  const rows = await sql<Row[]>`
    select asked.device_id,
           asked.held_at_ms,
           exists (
             select from positions held
              where held.device_id = asked.device_id
                and held.ts >= to_timestamp(asked.held_at_ms / 1000)
                and held.ts < to_timestamp((asked.held_at_ms + 1) / 1000)
                and held.faulty
           ) as is_held_faulty,
           -- Between the newest good fix and the end there is little but what the search for it has just read.
           (select floor(extract(epoch from faulty.ts) * 1000)::float8
              from positions faulty
             where faulty.device_id = asked.device_id
               and faulty.ts > coalesce(newest.ts, now() - ${lookbackMs}::float8 * interval '1 millisecond')
               and faulty.faulty
             order by faulty.ts desc
             limit 1
           ) as faulty_at_ms,
           floor(extract(epoch from newest.ts) * 1000)::float8 as fix_at_ms,
           newest.latitude, newest.longitude, newest.altitude, newest.angle, newest.speed
      from json_to_recordset(${JSON.stringify(asked)}::text::json) as asked (device_id text, held_at_ms float8)
      left join lateral (
        select position.ts, position.latitude, position.longitude,
               position.altitude, position.angle, position.speed
          from positions position
         where position.device_id = asked.device_id
           and position.ts > now() - ${lookbackMs}::float8 * interval '1 millisecond'
           and position.quality = 0
           and not position.faulty
         order by position.ts desc
         limit 1
      ) newest on true`;
  return densify(rows).map(readAnswer);
}

function readAnswer(row: Row): NewestFixAnswer {
  return {
    deviceId: row.device_id,
    heldFaultyAtMs: row.is_held_faulty && row.held_at_ms !== null ? row.held_at_ms : undefined,
    faultyAtMs: row.faulty_at_ms ?? undefined,
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
            stamp: undefined,
          },
  };
}
