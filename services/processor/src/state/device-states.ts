import { LRUCache } from 'lru-cache';
import type { Metrics } from '../metrics.ts';
import type { DeviceStateCap } from './device-state-cap.ts';
import type { Fix } from '../fix.ts';

/** A device's newest good fix: one without quality flags and within the past limit. */
export interface LastFix {
  readonly fixAtMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedKmh: number;
}

export interface DeviceState {
  /** Undefined until this process handles a good fix of the device; that one loads its stored predecessor. */
  readonly lastFix: LastFix | undefined;
  /** Arrival (Redis clock) of the newest fix of any quality; 0 if none arrived since the start. */
  readonly lastSeenAtMs: number;
}

/** A durable fix with the device's state before and after it. */
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

/** Finds each device's newest good fix that is older than the given time; devices without a known one are left out. */
export type FindLastFixes = (
  olderThanMs: ReadonlyMap<string, number>,
  abandon: AbortSignal,
) => Promise<ReadonlyMap<string, LastFix>>;

/** Device states of one stream in memory; unknown devices are loaded from the database. */
export class DeviceStates {
  readonly #states: LRUCache<string, DeviceState>;
  readonly #findLastFixes: FindLastFixes;
  readonly #cap: DeviceStateCap;

  constructor(cap: DeviceStateCap, findLastFixes: FindLastFixes, metrics: Metrics) {
    this.#findLastFixes = findLastFixes;
    this.#cap = cap;
    this.#states = new LRUCache({
      max: cap.cap,
      dispose: (_state, _deviceId, reason) => {
        if (reason === 'evict') metrics.deviceStateEvictions.inc();
      },
    });
    cap.add(this.#states);
  }

  /**
   * Computes the transitions of durable fixes in stream order; nothing is kept before `commit`. Duplicates count too:
   * after a crash all fixes of a batch may be stored although none was passed to the domain step.
   */
  async next(fixes: readonly Fix[], abandon: AbortSignal): Promise<ProposedStates> {
    const states = new Map<string, DeviceState>();
    // The time of each unknown device's oldest good fix in this batch. Only older fixes are loaded: after a crash the
    // batch itself may be stored already and must still count as new. A device with only flagged fixes is not loaded:
    // a stored good fix that is older than the flagged one may still follow in the stream.
    const olderThanMs = new Map<string, number>();
    for (const fix of fixes) {
      const { deviceId, fixAtMs } = fix.position;
      const known = this.#states.get(deviceId) ?? unseen;
      states.set(deviceId, known);
      if (movesState(fix) && known.lastFix === undefined) {
        olderThanMs.set(deviceId, Math.min(fixAtMs, olderThanMs.get(deviceId) ?? fixAtMs));
      }
    }
    if (olderThanMs.size > 0) {
      for (const [deviceId, lastFix] of await this.#findLastFixes(olderThanMs, abandon)) {
        states.set(deviceId, { ...(states.get(deviceId) ?? unseen), lastFix });
      }
    }
    const transitions = fixes.map((fix) => {
      const before = states.get(fix.position.deviceId) ?? unseen;
      const after = fold(before, fix);
      states.set(fix.position.deviceId, after);
      return { fix, before, after };
    });
    return { transitions, states };
  }

  /** Keeps the states that `next` proposed. */
  commit({ states }: ProposedStates): void {
    for (const [deviceId, state] of states) this.#states.set(deviceId, state);
    this.#cap.enforce();
  }
}

function movesState({ quality, isPastLimit }: Fix): boolean {
  return quality === 0 && !isPastLimit;
}

/** A fix that is flagged, past the limit or late updates `lastSeenAtMs` only. */
function fold(before: DeviceState, fix: Fix): DeviceState {
  const { position, arrivedAtMs } = fix;
  const isNewer = before.lastFix === undefined || position.fixAtMs > before.lastFix.fixAtMs;
  return {
    lastFix: movesState(fix) && isNewer ? lastFixOf(position) : before.lastFix,
    lastSeenAtMs: Math.max(before.lastSeenAtMs, arrivedAtMs),
  };
}

function lastFixOf(position: Fix['position']): LastFix {
  const { fixAtMs, latitude, longitude, altitudeM, courseDeg, speedKmh } = position;
  return { fixAtMs, latitude, longitude, altitudeM, courseDeg, speedKmh };
}
