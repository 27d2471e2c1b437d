import { describe, expect, test } from 'vitest';
import { latencyBetween, latencyOf } from '../../src/gateway/latency.ts';

const exposition = (counts: readonly number[]): string =>
  ['0.1', '0.2', '+Inf']
    .map((bound, at) => `x_seconds_bucket{le="${bound}"} ${counts[at]}`)
    .concat(`x_seconds_count ${counts.at(-1)}`, `y_seconds_bucket{le="0.1"} 7`)
    .join('\n');

describe('the quantiles of a histogram', () => {
  test('are those of what came between two readings', () => {
    const between = latencyBetween(exposition([100, 100, 100]), exposition([100, 200, 200]), 'x_seconds');
    expect(between.p50Ms).toBeCloseTo(150);
    expect(between.p99Ms).toBeCloseTo(199);
  });

  test('beyond the last bound are that bound, and of nothing none', () => {
    expect(latencyBetween('', exposition([0, 0, 10]), 'x_seconds').p50Ms).toBeCloseTo(200);
    expect(latencyBetween('', '', 'x_seconds').p50Ms).toBeNaN();
  });
});

test('the quantiles of values do not hang on their order', () => {
  expect(latencyOf([5, 1, 4, 2, 3])).toEqual({ p50Ms: 3, p99Ms: 5 });
});
