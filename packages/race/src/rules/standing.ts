import { distanceM } from '@app/geometry/distance';
import type { Fix } from '../fix.ts';
import type { Stood } from '../observation.ts';
import type { Thresholds } from '../thresholds.ts';
import type { Rule } from './rule.ts';

/** The fix since which the device has not moved; replaced by each fix of a device that moves. */
interface Anchor {
  readonly fromMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly isSlow: boolean;
  untilMs: number;
}

interface StandingState {
  anchor: Anchor | undefined;
}

/** More than any degree of latitude has: a difference that is too great needs no trigonometry. */
const mostMetresPerDegree = 112_000;

/**
 * A device has been standing since a fix as long as all have been slow, or near that fix. Speeds alone would miss a
 * receiver that reports noise as speed, distances alone a vehicle that is towed slowly.
 */
export const standingRule: Rule<StandingState> = {
  name: 'standing',
  version: 1,
  fixes: 'good',
  start: () => ({ anchor: undefined }),
  step({ thresholds }, state, _previous, fix, emit) {
    const { anchor } = state;
    const isSlow = fix.speedKmh < thresholds.standingSpeedKmh;
    if (anchor && ((isSlow && anchor.isSlow) || isNear(anchor, fix, thresholds.standingRadiusM))) {
      anchor.untilMs = fix.fixAtMs;
      return;
    }
    if (anchor && isLongEnough(anchor, thresholds)) emit(stood(anchor, false));
    const { fixAtMs, latitude, longitude } = fix;
    state.anchor = { fromMs: fixAtMs, latitude, longitude, isSlow, untilMs: fixAtMs };
  },
  emitOpen({ thresholds }, { anchor }, emit) {
    if (anchor && isLongEnough(anchor, thresholds)) emit(stood(anchor, true));
  },
};

function isLongEnough({ fromMs, untilMs }: Anchor, { standingAfterS }: Thresholds): boolean {
  return untilMs - fromMs >= standingAfterS * 1000;
}

function isNear(anchor: Anchor, fix: Fix, radiusM: number): boolean {
  if (Math.abs(fix.latitude - anchor.latitude) * mostMetresPerDegree > radiusM * 1.1) return false;
  return distanceM(anchor, fix) <= radiusM;
}

function stood({ fromMs, untilMs, latitude, longitude }: Anchor, isOpen: boolean): Stood {
  return { kind: 'standing', fromMs, untilMs, isOpen, latitude, longitude };
}
