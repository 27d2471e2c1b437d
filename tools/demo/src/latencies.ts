const longestMs = 60_000;

/** Latencies counted by the millisecond: exact percentiles in a bounded memory. */
export class Latencies {
  /** One bucket for each millisecond; the last one holds all that took longer. */
  readonly #buckets = new Uint32Array(longestMs + 1);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(latencyMs: number): void {
    const bucket = Math.min(longestMs, Math.max(0, Math.round(latencyMs)));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The latency that this share (0 to 1) of all did not exceed; undefined if there are none. */
  percentileMs(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [latencyMs, count] of this.#buckets.entries()) {
      seen += count;
      if (seen >= rank) return latencyMs;
    }
    return longestMs;
  }
}
