import { createRandom } from '@app/fleet-sim/random';
import { expect, test } from 'vitest';
import { drawFaults } from '../../src/faults/draw-faults.ts';
import type { Fault, Place } from '../../src/faults/fault.ts';

const places: readonly Place[] = ['processor', 'redis', 'postgres', 'stream'];
const faults: readonly Fault[] = Array.from({ length: 20 }, (_, n) => ({
  name: String(n),
  place: places[n % 4] ?? 'stream',
  run: async () => undefined,
}));

function draw(seed: number, turns: number): readonly (readonly Fault[])[] {
  return [...drawFaults(faults, createRandom(seed)).take(turns)];
}

test('the same seed draws the same faults', () => {
  expect(draw(1, 60)).toEqual(draw(1, 60));
  expect(draw(1, 60)).not.toEqual(draw(2, 60));
});

test('every fault comes before any comes again, at times with another one elsewhere', () => {
  const turns = draw(3, 40);
  for (const round of [turns.slice(0, 20), turns.slice(20)]) {
    expect(new Set(round.map(([first]) => first?.name)).size).toBe(20);
  }
  const together = turns.filter(({ length }) => length === 2);
  expect(together.length).toBeGreaterThan(4);
  expect(together.length).toBeLessThan(30);
  for (const [one, other] of together) expect(one?.place).not.toBe(other?.place);
});
