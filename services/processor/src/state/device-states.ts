import { densify } from '@app/runtime/postgres';
import { LRUCache } from 'lru-cache';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import type { Fix } from '../pipeline/decode-entries.ts';

/** The newest good fix of a device, as far as a state needs it. */
export interface LastFix {
  readonly fixAtMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedKmh: number;
}

export interface DeviceState {
  /** Undefined until the device has had a good fix in this process; the first one looks up what was before it. */
  readonly lastFix: LastFix | undefined;
  /** Arrival (Redis' clock) of the newest record of any quality; 0 if none came since the start. */
  readonly lastSeenAtMs: number;
}

/** One durable fix with the device's state before and after it, in reading order. */
export interface StateTransition {
  readonly fix: Fix;
  readonly before: DeviceState;
  readonly after: DeviceState;
}

export interface ProposedStates {
  readonly transitions: readonly StateTransition[];
  readonly states: ReadonlyMap<string, DeviceState>;
}

const unseen: DeviceState = { lastFix: undefined, lastSeenAtMs: 0 };

/** Finds, for each device, the newest good fix that is older than the time given; devices without one are left out. */
export type FindLastFixes = (
  olderThanMs: ReadonlyMap<string, number>,
  abandon: AbortSignal,
) => Promise<ReadonlyMap<string, LastFix>>;

/** The state of each device, in memory, rebuilt from the database when a device is not known. */
export class DeviceStates {
  readonly #states: LRUCache<string, DeviceState>;
  readonly #findLastFixes: FindLastFixes;
  readonly #metrics: Metrics;

  constructor(cap: number, findLastFixes: FindLastFixes, metrics: Metrics) {
    this.#findLastFixes = findLastFixes;
    this.#metrics = metrics;
    this.#states = new LRUCache({
      max: cap,
      dispose: (_state, _deviceId, reason) => {
        if (reason === 'evict') metrics.deviceStateEvictions.inc();
      },
    });
  }

  /**
   * Folds durable fixes into proposed states; nothing is kept before `commit`. All fixes of a batch are folded,
   * those included that the table had already: after a crash all of them are there, and none was heard.
   */
  async next(fixes: readonly Fix[], abandon: AbortSignal): Promise<ProposedStates> {
    const states = new Map<string, DeviceState>();
    // Of each device whose last fix is not known, the time of its oldest good fix: what is looked up is older than
    // that, for a fix that was stored but not yet heard must still count as new. A device without a good fix here is
    // not looked up: a flagged fix moves nothing, and what is older than it may lie ahead in the stream, stored by a
    // process that died before it was heard.
    const olderThanMs = new Map<string, number>();
    for (const { position, quality } of fixes) {
      const { deviceId, fixAtMs } = position;
      const known = this.#states.get(deviceId) ?? unseen;
      states.set(deviceId, known);
      if (quality === 0 && known.lastFix === undefined) {
        olderThanMs.set(deviceId, Math.min(fixAtMs, olderThanMs.get(deviceId) ?? fixAtMs));
      }
    }
    if (olderThanMs.size > 0) {
      for (const [deviceId, lastFix] of await this.#findLastFixes(olderThanMs, abandon)) {
        states.set(deviceId, { ...(states.get(deviceId) ?? unseen), lastFix });
      }
    }
    const heard = fixes.map((fix) => {
      const before = states.get(fix.position.deviceId) ?? unseen;
      const after = fold(before, fix);
      states.set(fix.position.deviceId, after);
      return { fix, before, after };
    });
    return { transitions: heard, states };
  }

  /** Keeps what `next` proposed. */
  commit({ states }: ProposedStates): void {
    const sizeBefore = this.#states.size;
    for (const [deviceId, state] of states) this.#states.set(deviceId, state);
    // By the difference: each stream has states of its own, and the gauge is one.
    this.#metrics.deviceStateSize.inc(this.#states.size - sizeBefore);
  }
}

/** A flagged fix is seen and moves nothing; a late one moves nothing backwards. */
function fold(before: DeviceState, { position, quality, arrivedAtMs }: Fix): DeviceState {
  const isNewer = before.lastFix === undefined || position.fixAtMs > before.lastFix.fixAtMs;
  return {
    lastFix: quality === 0 && isNewer ? lastFixOf(position) : before.lastFix,
    lastSeenAtMs: Math.max(before.lastSeenAtMs, arrivedAtMs),
  };
}

function lastFixOf(position: Fix['position']): LastFix {
  const { fixAtMs, latitude, longitude, altitudeM, courseDeg, speedKmh } = position;
  return { fixAtMs, latitude, longitude, altitudeM, courseDeg, speedKmh };
}

/** FindLastFixes over the table: one statement, one index probe a device. */
export async function selectLastFixes(
  sql: postgres.Sql,
  olderThanMs: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, LastFix>> {
  const wanted = Array.from(olderThanMs, ([device_id, ms]) => ({
    device_id,
    before: new Date(ms).toISOString(),
  }));
  const rows = await sql<(LastFix & { deviceId: string })[]>`
    select wanted.device_id as "deviceId", (extract(epoch from newest.ts) * 1000)::float8 as "fixAtMs",
           newest.latitude, newest.longitude, newest.altitude as "altitudeM", newest.angle as "courseDeg",
           newest.speed as "speedKmh"
    from json_to_recordset(${JSON.stringify(wanted)}::text::json) as wanted (device_id text, before timestamptz)
    cross join lateral (
      select ts, latitude, longitude, altitude, angle, speed from positions
      where positions.device_id = wanted.device_id and ts < wanted.before
        and quality = 0 and not faulty
      order by ts desc limit 1
    ) as newest`;
  return new Map(densify(rows).map(({ deviceId, ...lastFix }) => [deviceId, lastFix]));
}
