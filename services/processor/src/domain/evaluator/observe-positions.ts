import type { EventWindow } from '@app/race/event-window';
import type { Fix } from '@app/race/fix';
import { densify, timestampParameter } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { StoredFix } from '../stored-fixes.ts';

/** A few milliseconds of folding. */
const pageRows = 5000;

/** A stored fix, and when it was stored by the clock of Postgres. */
export interface StoredPosition {
  readonly fix: Fix;
  readonly storedAtMs: number;
}

interface PositionRow {
  readonly fixAtMs: number;
  readonly storedAtMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly speed: number;
  readonly hdopTenths: number | null;
  readonly priority: number;
  readonly quality: number;
  readonly isFaulty: boolean;
}

/**
 * A device's stored fixes in fix-time order, page by page, with SOS records whose fix time is outside the window: they
 * count from when they were stored.
 */
export async function* readPositions(
  postgres: PostgresClient,
  deviceId: string,
  window: EventWindow,
): AsyncGenerator<readonly StoredPosition[], void> {
  const { fromMs, untilMs } = window;
  let sos = await readSosOfWrongClocks(postgres, deviceId, window);
  let comparison = '>=';
  let afterMs = fromMs;
  for (;;) {
    const values = [deviceId, timestampParameter(afterMs), timestampParameter(untilMs)];
    const statement = selectPage(comparison);
    const rows = densify(
      await postgres.run(
        (sql) => sql.unsafe<PositionRow[]>(statement, values),
        'reading positions of a device',
      ),
    );
    const page = rows.map((row) => ({ fix: fixOf(row), storedAtMs: row.storedAtMs }));
    const last = rows.length < pageRows ? undefined : rows.at(-1);
    const isUpToLast = ({ fix }: StoredPosition) => fix.fixAtMs <= (last?.fixAtMs ?? Infinity);
    // First of those with one time: an SOS is never dropped for a fix.
    yield [...sos.filter(isUpToLast), ...page].toSorted((a, b) => a.fix.fixAtMs - b.fix.fixAtMs);
    if (!last) return;
    sos = sos.filter((one) => !isUpToLast(one));
    comparison = '>';
    afterMs = last.fixAtMs;
  }
}

async function readSosOfWrongClocks(
  postgres: PostgresClient,
  deviceId: string,
  { fromMs, untilMs }: EventWindow,
): Promise<readonly StoredPosition[]> {
  const values = [deviceId, timestampParameter(fromMs), timestampParameter(untilMs)];
  const rows = densify(
    await postgres.run(
      (sql) => sql.unsafe<PositionRow[]>(selectSosOfWrongClocks, values),
      'reading SOS records of a device',
    ),
  );
  return rows.map((row) => ({
    fix: { ...fixOf(row), fixAtMs: row.storedAtMs, isClockWrong: true },
    storedAtMs: row.storedAtMs,
  }));
}

// date_part, since extract calculates with numeric, which takes longer.
const columns = `
  round(date_part('epoch', ts) * 1000) as "fixAtMs",
  round(date_part('epoch', ingested_at) * 1000) as "storedAtMs", latitude, longitude, speed,
  case when jsonb_typeof(attributes -> '182') = 'number' then (attributes ->> '182')::float8 end as "hdopTenths",
  priority, quality, faulty as "isFaulty"`;

const selectSosOfWrongClocks = ['positions', 'positions_past_limit']
  .map(
    (table) => `
      select ${columns}
        from sos_records join ${table} as positions on positions.device_id = sos_records.device_id and ts = fix_at
       where sos_records.device_id = $1 and stored_at between $2::text::timestamptz and $3::text::timestamptz
         and fix_at not between $2::text::timestamptz and $3::text::timestamptz`,
  )
  .join(' union all ')
  .concat(' order by "storedAtMs", "fixAtMs"');

function selectPage(comparison: string): string {
  return `
    select ${columns}
      from positions
     where device_id = $1 and ts ${comparison} $2::text::timestamptz and ts <= $3::text::timestamptz
     order by ts limit ${pageRows}`;
}

function fixOf(row: PositionRow): Fix {
  const { fixAtMs, latitude, longitude, speed, hdopTenths, priority, quality, isFaulty } = row;
  const hdop = hdopTenths === null ? undefined : hdopTenths / 10;
  return { fixAtMs, latitude, longitude, speedKmh: storedSpeed(speed), hdop, priority, quality, isFaulty };
}

/** The same fix as `readPositions` gives: nobody has marked it yet, or the mark is a change of its own. */
export function fixOfStored(stored: StoredFix): Fix {
  const [, fixAtMs, latitude, longitude, speedKmh, , , hdop, priority, quality] = stored;
  return {
    fixAtMs,
    latitude,
    longitude,
    speedKmh: storedSpeed(speedKmh),
    hdop: hdop ?? undefined,
    priority,
    quality,
    isFaulty: false,
  };
}

/** As the column has it, which is a `real`: the shortest decimal of one is another double. */
function storedSpeed(speedKmh: number): number {
  return Math.fround(speedKmh);
}
