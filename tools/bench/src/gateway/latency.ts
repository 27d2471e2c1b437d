import { quantile } from '../quantile.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function latencyOf(latenciesMs: readonly number[]): Latency {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}
