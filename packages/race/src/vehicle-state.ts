import type { Thresholds } from './thresholds.ts';

/** From the best to the worst. */
const trackerStates = ['moving', 'standing', 'no_fix', 'silent', 'lost'] as const;

export type TrackerState = (typeof trackerStates)[number];
export type VehicleState = TrackerState | 'sos';

/** What is known of a tracker. Times are by the server's clock, since a tracker's own may be wrong. */
export interface TrackerKnown {
  /** When its newest record of any quality arrived, and its newest good one. */
  readonly recordAtMs: number | undefined;
  readonly goodAtMs: number | undefined;
  /** Whether its newest fixes show a stop, by `standingAfterS`. */
  readonly isStanding: boolean;
}

/**
 * The state of a vehicle: SOS, or that of its best tracker. Each threshold must be exceeded.
 *
 * @param nowMs server time until which records that arrived are known
 */
export function vehicleState(
  trackers: readonly TrackerKnown[],
  hasOpenSos: boolean,
  thresholds: Thresholds,
  nowMs: number,
): VehicleState {
  if (hasOpenSos) return 'sos';
  const states = new Set(trackers.map((known) => trackerState(known, thresholds, nowMs)));
  return trackerStates.find((state) => states.has(state)) ?? 'lost';
}

function trackerState(
  { recordAtMs = -Infinity, goodAtMs = -Infinity, isStanding }: TrackerKnown,
  { lostAfterS, silentAfterS, noFixAfterS }: Thresholds,
  nowMs: number,
): TrackerState {
  if (nowMs - recordAtMs > lostAfterS * 1000) return 'lost';
  if (nowMs - recordAtMs > silentAfterS * 1000) return 'silent';
  if (nowMs - goodAtMs > noFixAfterS * 1000) return 'no_fix';
  return isStanding ? 'standing' : 'moving';
}
