import type { Random } from '@app/fleet-sim/random';
import { type Fault, pick } from './fault.ts';

/**
 * Draws endlessly which faults happen together: each fault once in random order, then again. In one case of three, one
 * with another target is added.
 */
export function* drawFaults(faults: readonly Fault[], random: Random): Generator<readonly Fault[]> {
  for (;;) {
    for (const fault of shuffled(faults, random)) {
      const others = faults.filter(({ target }) => target !== fault.target);
      const isAlone = random() > 1 / 3 || others.length === 0;
      yield isAlone ? [fault] : [fault, pick(random, others)];
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
