import type { Position } from './position.ts';

/** The bits of `positions.quality`. A fix with any of them is stored, and moves no marker, state or rule. */
export const fixFlag = {
  /** No satellite was seen: the coordinates are the last valid ones, or nothing. */
  noFix: 1,
  /** Exactly 0/0: what trackers send after a reboot, before their first fix. */
  nullIsland: 2,
  /** The tracker's clock is more than the tolerance ahead of the arrival. */
  future: 4,
  /** Before 2010: a clock that was never set. */
  ancient: 8,
  /**
   * Faster than possible from both neighbours. Never set by `fixQuality`: it needs the next fix, so whoever reads
   * history computes it.
   */
  jump: 16,
} as const;

export type QualityFlag = 'no_fix' | 'null_island' | 'future' | 'ancient' | 'jump';

/** The defaults of `FUTURE_FLAG_MS` (flagged) and `FUTURE_LIMIT_MS` (dead-lettered: such a row would get a chunk of its own). */
export const defaultFutureFlagMs = 120_000;
export const defaultFutureLimitMs = 86_400_000;

const ancientBeforeMs = Date.UTC(2010, 0, 1);

/**
 * The flags of one fix as a set of bits; 0 is a good fix.
 *
 * @param arrivedAtMs the time in the entry's id, which is Redis' clock and never a process's own: a redelivery then has
 * the same flags, and one wrong clock flags no race.
 * @param futureFlagMs how far ahead of the arrival a fix may be.
 */
export function fixQuality(
  position: Pick<Position, 'fixAtMs' | 'latitude' | 'longitude' | 'satellites'>,
  arrivedAtMs: number,
  futureFlagMs: number,
): number {
  let quality = 0;
  if (position.satellites === 0) quality |= fixFlag.noFix;
  if (position.latitude === 0 && position.longitude === 0) quality |= fixFlag.nullIsland;
  // Two clocks in one subtraction, the tracker's and Redis': their difference is what is judged.
  if (position.fixAtMs - arrivedAtMs > futureFlagMs) quality |= fixFlag.future;
  if (position.fixAtMs < ancientBeforeMs) quality |= fixFlag.ancient;
  return quality;
}

const flagNames: readonly (readonly [number, QualityFlag])[] = [
  [fixFlag.noFix, 'no_fix'],
  [fixFlag.nullIsland, 'null_island'],
  [fixFlag.future, 'future'],
  [fixFlag.ancient, 'ancient'],
  [fixFlag.jump, 'jump'],
];

/** The names of the bits that are set, lowest first: the values of a metric's `flag` label. */
export function qualityFlags(quality: number): readonly QualityFlag[] {
  return flagNames.filter(([bit]) => (quality & bit) !== 0).map(([, name]) => name);
}
