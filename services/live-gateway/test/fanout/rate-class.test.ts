import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventPhase, isDue, rateClassFor } from '../../src/fanout/rate-class.ts';

describe('a rate class', () => {
  test.each([
    [8, 0],
    [20, 0],
    [7.9, 1],
    [4, 1],
    [undefined, 1],
    [2, 2],
    [1, 3],
    [0.5, 4],
    [0.9, 4],
  ])('for at most %s Hz with ticks of 125 ms is %i', (maxHz, rateClass) => {
    expect(rateClassFor(maxHz, 125)).toBe(rateClass);
  });

  test('is due once per interval, and events are spread over the ticks', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.uuid(), fc.nat(4), (from, eventId, rateClass) => {
        const interval = 2 ** rateClass;
        const ticks = Array.from({ length: interval }, (_, n) => from + n);
        expect(ticks.filter((tick) => isDue(tick, eventPhase(eventId), rateClass))).toHaveLength(1);
      }),
    );
    const phases = new Set(
      Array.from({ length: 200 }, (_, n) =>
        eventPhase(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`),
      ),
    );
    expect(phases.size).toBe(16);
  });
});
