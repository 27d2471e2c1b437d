import { quantile } from '../quantile.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function latencyOf(latenciesMs: readonly number[]): Latency {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
}

/** Quantiles of a histogram in seconds between two readings of `/metrics`, interpolated linearly as Prometheus does. */
export function latencyBetween(before: string, after: string, name: string): Latency {
  const earlier = readBuckets(before, name);
  const buckets = [...readBuckets(after, name)]
    .map(([boundS, count]) => ({ boundS, count: count - (earlier.get(boundS) ?? 0) }))
    .toSorted((a, b) => a.boundS - b.boundS);
  return { p50Ms: quantileOf(buckets, 0.5) * 1000, p99Ms: quantileOf(buckets, 0.99) * 1000 };
}

interface Bucket {
  readonly boundS: number;
  /** Cumulative. */
  readonly count: number;
}

function readBuckets(exposition: string, name: string): ReadonlyMap<number, number> {
  const buckets = new Map<number, number>();
  for (const [, bound = '', count] of exposition.matchAll(
    new RegExp(`^${name}_bucket\\{.*?le="([^"]+)".*?\\} (\\S+)$`, 'gmu'),
  )) {
    const boundS = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    buckets.set(boundS, (buckets.get(boundS) ?? 0) + Number(count));
  }
  return buckets;
}

function quantileOf(buckets: readonly Bucket[], share: number): number {
  const wanted = (buckets.at(-1)?.count ?? 0) * share;
  let below: Bucket = { boundS: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= wanted) {
      if (!Number.isFinite(bucket.boundS)) return below.boundS;
      const within = (wanted - below.count) / Math.max(1, bucket.count - below.count);
      return below.boundS + (bucket.boundS - below.boundS) * within;
    }
    below = bucket;
  }
  return Number.NaN;
}
