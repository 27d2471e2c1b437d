import type { Random } from '@app/fleet-sim/random';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Producer } from '../producer.ts';
import type { SoakHarness } from '../open-harness.ts';

/** What a fault affects; two with one target never happen at the same time. */
export type FaultTarget = 'processor' | 'redis' | 'postgres' | 'stream';

export interface FaultContext {
  readonly harness: SoakHarness;
  readonly producer: Producer;
  readonly random: Random;
  /** Prints one line. */
  readonly log: (what: string) => void;
  /** Waits while the fault lasts; resolves early when the soak ends. */
  readonly hold: (ms: number) => Promise<void>;
}

/** Injects one fault and removes it again, also if `hold` resolves early or `run` throws. */
export interface Fault {
  readonly name: string;
  readonly target: FaultTarget;
  readonly run: (context: FaultContext) => Promise<void>;
}

export function holdUntil(signal: AbortSignal): FaultContext['hold'] {
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
