import type { Position } from './position.ts';

/** Bits of `positions.quality`. A fix with any bit set is stored, but not shown and not used for states or rules. */
export const fixFlag = {
  /** No satellites: the coordinates are the last valid ones, or meaningless. */
  noFix: 1,
  /** Exactly 0/0: sent by trackers after a reboot, before their first fix. */
  nullIsland: 2,
  /** The fix time is more than the tolerance after the arrival. */
  future: 4,
  /** Before 2010: the tracker's clock was never set. */
  ancient: 8,
  /** Faster than possible from both neighbours. Not set by `fixQuality`: it needs the next fix, which only history has. */
  jump: 16,
} as const;

export type QualityFlag = 'no_fix' | 'null_island' | 'future' | 'ancient' | 'jump';

/** Defaults of `FUTURE_FLAG_MS` (flagged) and `FUTURE_LIMIT_MS` (dead-lettered: the row would create a chunk of its own). */
export const defaultFutureFlagMs = 120_000;
export const defaultFutureLimitMs = 86_400_000;

const ancientBeforeMs = Date.UTC(2010, 0, 1);

/**
 * The quality flags of a fix as a bit set; 0 is a good fix.
 *
 * @param arrivedAtMs the time in the entry's id, by Redis' clock and not by a process's own: a redelivery gets the same flags,
 * and a process with a wrong clock flags nothing. Both services correct it while Redis' clock is the one that is wrong.
 * @param futureFlagMs how long after its arrival a fix time may be.
 */
export function fixQuality(
  position: Pick<Position, 'fixAtMs' | 'latitude' | 'longitude' | 'satellites'>,
  arrivedAtMs: number,
  futureFlagMs: number,
): number {
  let quality = 0;
  if (position.satellites === 0) quality |= fixFlag.noFix;
  if (position.latitude === 0 && position.longitude === 0) quality |= fixFlag.nullIsland;
  // Two clocks, on purpose: this checks the tracker's clock against Redis'.
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

/** Names of the bits that are set, lowest first: values of a metric's `flag` label. */
export function qualityFlags(quality: number): readonly QualityFlag[] {
  return flagNames.filter(([bit]) => (quality & bit) !== 0).map(([, name]) => name);
}
