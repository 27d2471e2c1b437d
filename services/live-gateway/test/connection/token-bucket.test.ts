import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenBucket } from '../../src/connection/token-bucket.ts';

describe('a token bucket', () => {
  test('admits no more than the burst and the rate allow, over any period', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 100 }), (gapsMs) => {
        const bucket = new TokenBucket(10, 20, 0);
        let atMs = 0;
        let passed = 0;
        for (const gapMs of gapsMs) {
          atMs += gapMs;
          if (bucket.take(atMs)) passed += 1;
          expect(passed).toBeLessThanOrEqual(20 + (atMs / 1000) * 10 + 1e-6);
        }
      }),
    );
  });

  test('admits a message after the reported delay', () => {
    const bucket = new TokenBucket(10, 20, 0);
    for (let n = 0; n < 25; n += 1) bucket.take(0);
    expect(bucket.isAbused).toBe(false);
    const { retryAfterMs } = bucket;
    expect(retryAfterMs).toBe(600);
    expect(bucket.take(retryAfterMs)).toBe(true);
  });

  test('reports abuse after a further burst without tokens', () => {
    const bucket = new TokenBucket(10, 20, 0);
    for (let n = 0; n < 39; n += 1) bucket.take(0);
    expect(bucket.isAbused).toBe(false);
    bucket.take(0);
    expect(bucket.isAbused).toBe(true);
  });

  test('tolerates a clock that steps back', () => {
    const bucket = new TokenBucket(10, 1, 5_000);
    expect(bucket.take(4_000)).toBe(true);
    expect(bucket.take(4_000)).toBe(false);
    expect(bucket.take(4_000 + bucket.retryAfterMs)).toBe(true);
  });
});
