/**
 * Lets `ratePerS` messages a second through, and a burst of as many at once. Time comes in, so that a test needs none.
 */
export class TokenBucket {
  readonly #ratePerS: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(ratePerS: number, burst: number, nowMs: number) {
    this.#ratePerS = ratePerS;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /**
   * Takes a token; false if there was none. The debt then grows down to a further burst: who goes on knocking waits
   * longer, and `isAbused` says when it is no accident any more.
   */
  take(nowMs: number): boolean {
    const elapsedMs = Math.max(0, nowMs - this.#filledAtMs);
    this.#filledAtMs = nowMs;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs / 1000) * this.#ratePerS);
    const hasToken = this.#tokens >= 1;
    this.#tokens = Math.max(-this.#burst, this.#tokens - 1);
    return hasToken;
  }

  get isAbused(): boolean {
    return this.#tokens <= -this.#burst;
  }

  /** How long until a token is there, if nothing is taken meanwhile. */
  get retryAfterMs(): number {
    return Math.max(0, Math.ceil(((1 - this.#tokens) / this.#ratePerS) * 1000));
  }
}
