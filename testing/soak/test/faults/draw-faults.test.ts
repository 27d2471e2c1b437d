import { createRandom } from '@app/fleet-sim/random';
import { expect, test } from 'vitest';
import { drawFaults } from '../../src/faults/draw-faults.ts';
import type { Fault, FaultTarget } from '../../src/faults/fault.ts';

const targets: readonly FaultTarget[] = ['processor', 'redis', 'postgres', 'stream'];
const faults: readonly Fault[] = Array.from({ length: 20 }, (_, n) => ({
  name: String(n),
  target: targets[n % 4] ?? 'stream',
  run: async () => undefined,
}));

function draw(seed: number, times: number): readonly (readonly Fault[])[] {
  return [...drawFaults(faults, createRandom(seed)).take(times)];
}

test('the same seed draws the same faults', () => {
  expect(draw(1, 60)).toEqual(draw(1, 60));
  expect(draw(1, 60)).not.toEqual(draw(2, 60));
});

test('every fault is drawn before any is repeated, sometimes with one of another target', () => {
  const drawn = draw(3, 40);
  for (const round of [drawn.slice(0, 20), drawn.slice(20)]) {
    expect(new Set(round.map(([first]) => first?.name)).size).toBe(20);
  }
  const together = drawn.filter(({ length }) => length === 2);
  expect(together.length).toBeGreaterThan(4);
  expect(together.length).toBeLessThan(30);
  for (const [one, other] of together) expect(one?.target).not.toBe(other?.target);
});
