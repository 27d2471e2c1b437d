/** A movement between two consecutive fixes of one device: fix times by one clock, in milliseconds; reported speeds in km/h. */
export interface Movement {
  readonly fromMs: number;
  readonly toMs: number;
  readonly fromKmh: number;
  readonly toKmh: number;
  /** In metres, of its straight line, and of that what is at right angles to what it crosses. */
  readonly lengthM: number;
  readonly acrossM: number;
  /** Error of each fix: one standard deviation per axis, in metres. See `positionSigmaM`. */
  readonly sigmaM: number;
}

/** When something on a movement was crossed: whole milliseconds of the fixes' clock. */
export type CrossingTime =
  | {
      readonly confidence: 'interpolated';
      readonly atMs: number;
      /** At least 95 % of the true times are within ± this. */
      readonly uncertaintyMs: number;
    }
  /** Too long between the fixes to say more than that it was between them. */
  | { readonly confidence: 'low'; readonly afterMs: number; readonly beforeMs: number };

/** Range error of a receiver in metres: with an HDOP of 1 it gives the 2.5 m CEP of trackers' data sheets (2.1 m per axis). */
const rangeErrorM = 3;
/** Where a tracker reports no HDOP: a little more than that at a good HDOP. */
const defaultSigmaM = 3;
/** Receivers report up to 99.99, for no fix; an error without a bound would make times that are no numbers. */
const maxHdop = 100;

/** Standard deviation of a fix per axis, in metres: HDOP × range error is that of both axes together. */
export function positionSigmaM(hdop?: number): number {
  return hdop !== undefined && hdop > 0
    ? (Math.min(hdop, maxHdop) * rangeErrorM) / Math.SQRT2
    : defaultSigmaM;
}

/**
 * How many standard deviations of the fixes the uncertainty allows for. 1.96 hold 95 % of normal errors; of several fixes that
 * are as close to a gate as their error, the first that seems to be behind it is rather early, which takes a little more.
 */
const allowedSigmas = 2.2;

/** How far in m/s a reported speed may be off: whole km/h, the receiver's error, and its lag of some 0.1 s in braking. */
const speedErrorMps = 0.5;
/** So a device that stands may creep, and an error of its place is a time that ends. */
const slowestMPerMs = speedErrorMps / 1000;

/**
 * By how much, in m/s², the acceleration between two fixes may differ from its mean, lengthwise or sideways: hard braking
 * on gravel, or a bend at the limit of grip.
 */
const unsteadyMps2 = 6;

/**
 * How much of the longer one the straight line and the distance by the speeds may differ, beyond the error of the fixes. One
 * third is full speed for the first half and braking to a stop in the second, which the speeds at the ends still describe
 * better than none do. More is a bent track, or a speed that was not measured.
 */
const maxContradiction = 1 / 3;

/**
 * The time at a fraction of a movement's length. Between the fixes the acceleration is taken as constant: the speed goes
 * linearly from one reported speed to the other, both scaled by the same factor so that the distance is the movement's
 * length. Where the speeds contradict the length (`maxContradiction`) the speed is taken as constant.
 *
 * The uncertainty is the time that the movement takes over a distance of the error of the fixes (by how obliquely it crosses),
 * and of how far the device can have been from where it is taken to have been: by other accelerations in between, by wrong
 * speeds, and by the difference between length and speeds. Other accelerations cannot move it out of the movement.
 *
 * @param maxGapMs a longer movement is not interpolated.
 */
export function timeCrossing(movement: Movement, fraction: number, maxGapMs: number): CrossingTime {
  const { fromMs, toMs, lengthM, sigmaM } = movement;
  const gapMs = toMs - fromMs;
  if (gapMs > maxGapMs) return { confidence: 'low', afterMs: fromMs, beforeMs: toMs };

  const gapS = gapMs / 1000;
  const fromMps = Math.max(0, movement.fromKmh) / 3.6;
  const toMps = Math.max(0, movement.toKmh) / 3.6;
  const bySpeedM = ((fromMps + toMps) / 2) * gapS;
  const fixErrorM = allowedSigmas * sigmaM;
  const differenceM = Math.max(0, Math.abs(bySpeedM - lengthM) - fixErrorM * Math.SQRT2);
  const hasUsableSpeeds = bySpeedM > 0 && differenceM <= maxContradiction * Math.max(bySpeedM, lengthM);

  // The speeds at the ends as multiples of the mean one: they add up to 2.
  const fromRatio = hasUsableSpeeds ? (2 * fromMps) / (fromMps + toMps) : 1;
  const u = timeShare(fraction, fromRatio);
  const w = u * (1 - u);
  const elsewhereM = hasUsableSpeeds
    ? unsteadyMps2 * gapS * gapS * w * w + 2 * differenceM * w + speedErrorMps * gapS * w
    : (unsteadyMps2 * gapS * gapS * w) / 2;

  const atM = fraction * lengthM;
  // Sideways errors do not matter at right angles, and count for more the flatter the crossing.
  const errorM = (fixErrorM * lengthM) / movement.acrossM;
  // The error of close fixes may stretch the length several times over, and with it the speed; the reported speeds know better.
  const errorOnLengthM =
    errorM * (hasUsableSpeeds ? Math.max(1, lengthM / Math.max(bySpeedM, speedErrorMps * gapS)) : 1);
  const earliestMs = offsetMs(Math.max(0, atM - elsewhereM) - errorOnLengthM, lengthM, gapMs, fromRatio);
  const latestMs = offsetMs(Math.min(lengthM, atM + elsewhereM) + errorOnLengthM, lengthM, gapMs, fromRatio);
  const afterFromMs = u * gapMs;
  const widestMs = gapMs + errorM / slowestMPerMs;
  return {
    confidence: 'interpolated',
    atMs: Math.round(fromMs + afterFromMs),
    // The half is for rounding the time.
    uncertaintyMs: Math.ceil(
      Math.min(widestMs, Math.max(afterFromMs - earliestMs, latestMs - afterFromMs)) + 0.5,
    ),
  };
}

/** The share of the time in which a share of the distance is done: `fromRatio·u + (1 - fromRatio)·u² = fraction`, without cancellation. */
function timeShare(fraction: number, fromRatio: number): number {
  if (fraction <= 0) return 0;
  const root2 = fromRatio * fromRatio + 4 * (1 - fromRatio) * fraction;
  return (2 * fraction) / (fromRatio + Math.sqrt(Math.max(0, root2)));
}

/** Milliseconds from the first fix to a place, by the same motion; beyond the ends at the speed there. */
function offsetMs(distanceM: number, lengthM: number, gapMs: number, fromRatio: number): number {
  const meanMPerMs = lengthM / gapMs;
  if (distanceM < 0) return distanceM / Math.max(meanMPerMs * fromRatio, slowestMPerMs);
  if (distanceM > lengthM) {
    return gapMs + (distanceM - lengthM) / Math.max(meanMPerMs * (2 - fromRatio), slowestMPerMs);
  }
  return gapMs * timeShare(distanceM / lengthM, fromRatio);
}
