const maxMs = 60_000;

/** Latencies counted per millisecond: exact percentiles in bounded memory. */
export class Latencies {
  /** One bucket per millisecond; the last one has all longer latencies. */
  readonly #buckets = new Uint32Array(maxMs + 1);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(latencyMs: number): void {
    const bucket = Math.min(maxMs, Math.max(0, Math.round(latencyMs)));
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** @param share 0 to 1. @returns undefined without latencies. */
  percentileMs(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(share * this.#count));
    let seen = 0;
    for (const [latencyMs, count] of this.#buckets.entries()) {
      seen += count;
      if (seen >= rank) return latencyMs;
    }
    return maxMs;
  }
}
