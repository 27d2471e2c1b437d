import type { Thresholds } from './thresholds.ts';

export type VehicleState = 'sos' | 'lost' | 'silent' | 'no_fix' | 'standing' | 'moving';

/** What is known of a vehicle by its trackers together. */
export interface VehicleKnown {
  /** Fix time of the newest record of any quality, and of the newest good one. */
  readonly newestAtMs: number | undefined;
  readonly newestGoodAtMs: number | undefined;
  /** Since when it has been standing, if it is. */
  readonly standingSinceMs: number | undefined;
  readonly hasOpenSos: boolean;
}

/**
 * The most urgent state of a vehicle. Each threshold must be exceeded, except that standing begins with it.
 *
 * @param nowMs server time. Fix times are by the trackers' clocks: a fix ahead of the server is as new as one can be, and one
 * of a clock that is late makes the vehicle look silent.
 */
export function vehicleState(known: VehicleKnown, thresholds: Thresholds, nowMs: number): VehicleState {
  if (known.hasOpenSos) return 'sos';
  const silentMs = nowMs - (known.newestAtMs ?? -Infinity);
  if (silentMs > thresholds.lostAfterS * 1000) return 'lost';
  if (silentMs > thresholds.silentAfterS * 1000) return 'silent';
  if (nowMs - (known.newestGoodAtMs ?? -Infinity) > thresholds.noFixAfterS * 1000) return 'no_fix';
  const standingMs = nowMs - (known.standingSinceMs ?? Infinity);
  return standingMs >= thresholds.standingAfterS * 1000 ? 'standing' : 'moving';
}
