import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Latencies } from '../src/latencies.ts';

test('a percentile is the value that its share of samples does not exceed', () => {
  const samples = fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(samples, fc.double({ min: 0, max: 1, noNaN: true }), (samplesMs, share) => {
      const latencies = new Latencies();
      for (const sampleMs of samplesMs) latencies.add(sampleMs);
      const sorted = samplesMs.toSorted((a, b) => a - b);
      expect(latencies.percentileMs(share)).toBe(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
      expect(latencies.count).toBe(samplesMs.length);
    }),
  );
});

test('latencies are clamped to 0 and a minute', () => {
  const latencies = new Latencies();
  latencies.add(3_600_000);
  latencies.add(-5);
  expect(latencies.percentileMs(1)).toBe(60_000);
  expect(latencies.percentileMs(0)).toBe(0);
});

test('without samples there is no percentile', () => {
  expect(new Latencies().percentileMs(0.5)).toBeUndefined();
});
