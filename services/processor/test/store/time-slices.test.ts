import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sliceByTime } from '../../src/store/time-slices.ts';

test('each row is in exactly one slice, in order, and no slice is too long or too wide', () => {
  const limits = fc.record({ maxRows: fc.integer({ min: 1, max: 5 }), maxSpanMs: fc.nat({ max: 20 }) });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -50, max: 50 })), limits, (times, { maxRows, maxSpanMs }) => {
      const slices = sliceByTime(times, (time) => time, { maxRows, maxSpanMs });
      expect(slices.flat()).toEqual(times.toSorted((a, b) => a - b));
      for (const slice of slices) {
        expect(slice.length).toBeGreaterThan(0);
        expect(slice.length).toBeLessThanOrEqual(maxRows);
        expect((slice.at(-1) ?? 0) - (slice[0] ?? 0)).toBeLessThanOrEqual(maxSpanMs);
      }
    }),
  );
});
