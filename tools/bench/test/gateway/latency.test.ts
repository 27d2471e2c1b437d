import { expect, test } from 'vitest';
import { latencyOf } from '../../src/gateway/latency.ts';

test('quantiles do not depend on the order of the values', () => {
  expect(latencyOf([5, 1, 4, 2, 3])).toEqual({ p50Ms: 3, p99Ms: 5 });
});
