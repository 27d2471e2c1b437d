import type { Fix } from '@app/race/fix';
import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { StoredFix } from '../stored-fixes.ts';

/** A few milliseconds of folding. */
const pageRows = 5000;

/** When an event's fixes count, both ends included. */
export interface EventWindow {
  readonly fromMs: number;
  readonly untilMs: number;
}

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

/** A device's stored fixes in fix-time order, page by page. */
export async function* readPositions(
  postgres: PostgresClient,
  deviceId: string,
  { fromMs, untilMs }: EventWindow,
): AsyncGenerator<readonly StoredPosition[]> {
  let comparison = '>=';
  let afterMs = fromMs;
  for (;;) {
    const values = [deviceId, timestamp(afterMs), timestamp(untilMs)];
    const statement = selectPage(comparison);
    const rows = densify(
      await postgres.run(
        (sql) => sql.unsafe<PositionRow[]>(statement, values),
        'reading positions of a device',
      ),
    );
    yield rows.map((row) => ({ fix: fixOf(row), storedAtMs: row.storedAtMs }));
    const last = rows.at(-1);
    if (!last || rows.length < pageRows) return;
    comparison = '>';
    afterMs = last.fixAtMs;
  }
}

/** Times are parameters of type text: as a timestamptz postgres.js would make a Date of each, and infinity is none. */
function selectPage(comparison: string): string {
  return `
    select round(extract(epoch from ts) * 1000)::float8 as "fixAtMs",
           round(extract(epoch from ingested_at) * 1000)::float8 as "storedAtMs", latitude, longitude, speed,
           case when jsonb_typeof(attributes -> '182') = 'number' then (attributes ->> '182')::float8 end as "hdopTenths",
           priority, quality, faulty as "isFaulty"
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

function timestamp(ms: number): string {
  if (!Number.isFinite(ms)) return ms < 0 ? '-infinity' : 'infinity';
  return new Date(ms).toISOString();
}
