import { DeadlineError } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import { densify } from '@app/runtime/postgres';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import { isTooLarge } from '../store/statement-errors.ts';
import type { StatementRunner } from '../store/statement-runner.ts';
import { sliceByTime, timeLiteral } from '../store/time-slices.ts';
import type { FindLastFixes, LastFix } from './device-states.ts';

const dayMs = 86_400_000;
/** How much older than the given time a last fix may be. A device that was silent for longer is like a new one. */
export const lookBackMs = 7 * dayMs;
/** What one statement looks up: two weeks of chunks, with an index probe per device and chunk at most. */
const perStatement = { maxRows: 250, maxSpanMs: 7 * dayMs };

/**
 * FindLastFixes on `positions`. A look-up that Postgres does not finish in time is given up with the rest of its batch:
 * states are for the domain step only, and must not hold up the fixes of all devices.
 */
export function lookUpLastFixes(statements: StatementRunner, metrics: Metrics, log: Logger): FindLastFixes {
  return async (olderThanMs, abandon) => {
    const found = new Map<string, LastFix>();
    const slices = sliceByTime([...olderThanMs], ([, ms]) => ms, perStatement);
    for (const [n, slice] of slices.entries()) {
      try {
        const rows = await statements.run((sql) => selectLastFixes(sql, slice), {
          abandon,
          isHandled: isGivenUp,
        });
        for (const [deviceId, lastFix] of rows) found.set(deviceId, lastFix);
        metrics.deviceStateLookUps.inc({ result: 'found' }, rows.size);
        metrics.deviceStateLookUps.inc({ result: 'none' }, slice.length - rows.size);
      } catch (error) {
        if (!isGivenUp(error)) throw error;
        const devices = slices.slice(n).reduce((sum, { length }) => sum + length, 0);
        metrics.deviceStateLookUps.inc({ result: 'failed' }, devices);
        log.warn({ error, devices }, 'device-state look-up failed; continuing without these states');
        break;
      }
    }
    return found;
  };
}

function isGivenUp(error: unknown): boolean {
  return error instanceof DeadlineError || isTooLarge(error);
}

/** The newest good fix of each device before its time, within `lookBackMs`, by one index probe per device and chunk. */
export async function selectLastFixes(
  sql: postgres.Sql,
  olderThanMs: readonly (readonly [deviceId: string, ms: number])[],
): Promise<ReadonlyMap<string, LastFix>> {
  const wanted = olderThanMs.map(([device_id, ms]) => ({
    device_id,
    since: new Date(ms - lookBackMs).toISOString(),
    before: new Date(ms).toISOString(),
  }));
  const times = olderThanMs.map(([, ms]) => ms);
  const rows = await sql.unsafe<(LastFix & { deviceId: string })[]>(
    `
    select wanted.device_id as "deviceId", (extract(epoch from newest.ts) * 1000)::float8 as "fixAtMs",
           newest.latitude, newest.longitude, newest.altitude as "altitudeM", newest.angle as "courseDeg",
           newest.speed as "speedKmh"
    from json_to_recordset($1::text::json) as wanted (device_id text, since timestamptz, before timestamptz)
    cross join lateral (
      select ts, latitude, longitude, altitude, angle, speed from positions
      where positions.device_id = wanted.device_id and ts >= wanted.since and ts < wanted.before
        and ts >= ${timeLiteral(Math.min(...times) - lookBackMs)} and ts < ${timeLiteral(Math.max(...times))}
        and quality = 0 and not faulty
      order by ts desc limit 1
    ) as newest`,
    [JSON.stringify(wanted)],
  );
  return new Map(densify(rows).map(({ deviceId, ...lastFix }) => [deviceId, lastFix]));
}
