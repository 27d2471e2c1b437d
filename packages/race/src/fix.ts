import type { GeoPoint } from '@app/geometry/geo-point';

/** A stored position as the rules read it. */
export interface Fix extends GeoPoint {
  /** Fix time by the tracker's clock, in epoch milliseconds; unique for a device. */
  readonly fixAtMs: number;
  readonly speedKmh: number;
  readonly hdop: number | undefined;
  /** 2 is a panic record. */
  readonly priority: number;
  /** Bits of `fixFlag` in `@app/shared/quality`; 0 is a good fix. */
  readonly quality: number;
  /** Marked by race control. */
  readonly isFaulty: boolean;
  /**
   * An SOS record whose fix time is outside the time of the event: `fixAtMs` is when it was stored, and nothing but the SOS
   * rule uses it.
   */
  readonly isClockWrong?: boolean;
}

/** Other fixes change no result. */
export function matters(fix: Fix): boolean {
  return isGood(fix) || fix.priority === 2;
}

/** Only good fixes say where a vehicle was when. */
export function isGood(fix: Fix): boolean {
  return isPositionGood(fix) && fix.isClockWrong !== true;
}

export function isPositionGood(fix: Fix): boolean {
  return fix.quality === 0 && !fix.isFaulty;
}
