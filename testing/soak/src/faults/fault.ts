import type { Random } from '@app/fleet-sim/random';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Feed } from '../feed.ts';
import type { SoakWorld } from '../open-world.ts';

/** Where a fault strikes; two of one place never at the same time. */
export type Place = 'processor' | 'redis' | 'postgres' | 'stream';

export interface Stage {
  readonly world: SoakWorld;
  readonly feed: Feed;
  readonly random: Random;
  /** One line about what is done now. */
  readonly say: (what: string) => void;
  /** Waits, so that the fault lasts; not any longer once the soak is to end. */
  readonly hold: (ms: number) => Promise<void>;
}

/** Does one bad thing, and leaves all as it was: however short `hold` is, and whether it throws or not. */
export interface Fault {
  readonly name: string;
  readonly place: Place;
  readonly run: (stage: Stage) => Promise<void>;
}

export function holdUntil(signal: AbortSignal): Stage['hold'] {
  return async (ms) => {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new RangeError('nothing to pick from');
  return chosen;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
