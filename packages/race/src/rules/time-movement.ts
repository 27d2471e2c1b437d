import { positionSigmaM, timeCrossing } from '@app/geometry/crossing-time';
import type { Fix } from '../fix.ts';
import type { Confidence } from '../observation.ts';

export interface TimeOnMovement {
  readonly atMs: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
}

/** Shorter than this a movement has no direction. */
const minLengthM = 0.01;

/**
 * When a device was at a fraction of its movement between two fixes. If they are too far apart the time is the middle between
 * them, ± half of the time: it says no more than that it was between them.
 *
 * @param acrossM how much of the movement is at right angles to what it crosses
 */
export function timeMovement(
  from: Fix,
  to: Fix,
  fraction: number,
  lengthM: number,
  acrossM: number,
  maximumGapS: number,
): TimeOnMovement {
  const halfMs = (to.fixAtMs - from.fixAtMs) / 2;
  const middle = { atMs: Math.round(from.fixAtMs + halfMs), uncertaintyMs: Math.ceil(halfMs) };
  if (halfMs * 2 > maximumGapS * 1000) return { ...middle, confidence: 'low' };
  if (lengthM < minLengthM || acrossM <= 0) return { ...middle, confidence: 'high' };
  const time = timeCrossing(
    {
      fromMs: from.fixAtMs,
      toMs: to.fixAtMs,
      fromKmh: from.speedKmh,
      toKmh: to.speedKmh,
      lengthM,
      acrossM,
      sigmaM: Math.max(positionSigmaM(from.hdop), positionSigmaM(to.hdop)),
    },
    fraction,
    maximumGapS * 1000,
  );
  return time.confidence === 'low'
    ? { ...middle, confidence: 'low' }
    : { atMs: time.atMs, uncertaintyMs: time.uncertaintyMs, confidence: 'high' };
}
