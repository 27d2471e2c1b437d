import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenBucket } from '../../src/connection/token-bucket.ts';

describe('a token bucket', () => {
  test('lets no more through than the burst and the rate allow, in any span', () => {
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

  test('says when to come back, and whoever waits so long gets through', () => {
    const bucket = new TokenBucket(10, 20, 0);
    for (let n = 0; n < 25; n += 1) bucket.take(0);
    expect(bucket.isAbused).toBe(false);
    const { retryAfterMs } = bucket;
    expect(retryAfterMs).toBe(600);
    expect(bucket.take(retryAfterMs)).toBe(true);
  });

  test('calls it abuse when somebody goes on for another burst', () => {
    const bucket = new TokenBucket(10, 20, 0);
    for (let n = 0; n < 39; n += 1) bucket.take(0);
    expect(bucket.isAbused).toBe(false);
    bucket.take(0);
    expect(bucket.isAbused).toBe(true);
  });

  test('does not mind a clock that steps back', () => {
    const bucket = new TokenBucket(10, 1, 5_000);
    expect(bucket.take(4_000)).toBe(true);
    expect(bucket.take(4_000)).toBe(false);
    expect(bucket.take(4_000 + bucket.retryAfterMs)).toBe(true);
  });
});
