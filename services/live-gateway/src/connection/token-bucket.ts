/** A rate limit of `ratePerS` tokens per second, with bursts of up to `burst`. */
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
   * Takes a token; returns false if there was none. A failed attempt also costs a token, down to minus `burst`: a client
   * that keeps sending waits longer, and at minus `burst` it counts as abusive.
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

  /** Time until a token is available, if none is taken meanwhile. */
  get retryAfterMs(): number {
    return Math.max(0, Math.ceil(((1 - this.#tokens) / this.#ratePerS) * 1000));
  }
}
