import type { Random } from '@app/fleet-sim/random';
import { type Fault, pick } from './fault.ts';

/**
 * Which faults strike together, turn after turn, without end: each of them once in random order, then again. In about
 * one turn of three a second one strikes at the same time, elsewhere.
 */
export function* drawFaults(faults: readonly Fault[], random: Random): Generator<readonly Fault[]> {
  for (;;) {
    for (const fault of shuffled(faults, random)) {
      const elsewhere = faults.filter(({ place }) => place !== fault.place);
      const isAlone = random() > 1 / 3 || elsewhere.length === 0;
      yield isAlone ? [fault] : [fault, pick(random, elsewhere)];
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
