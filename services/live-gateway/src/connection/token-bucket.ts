/** After a stop of the process, the time in which the messages that arrived meanwhile are read. */
const stopCreditMs = 5_000;
/** Longest stop for which messages are credited. */
const maxCreditedStopMs = 60_000;

/** A rate limit of `ratePerS` tokens per second, with bursts of up to `burst`. */
export class TokenBucket {
  readonly #ratePerS: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;
  #stoppedMs: number;
  #credit = 0;
  #creditEndsAtMs = 0;

  /** @param stoppedMs the total time in which the process did not run, see `RunClock`. */
  constructor(ratePerS: number, burst: number, nowMs: number, stoppedMs = 0) {
    this.#ratePerS = ratePerS;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
    this.#stoppedMs = stoppedMs;
  }

  /**
   * Takes a token; returns false if there was none. A failed attempt also costs a token, down to minus `burst`: a client
   * that keeps sending waits longer, and at minus `burst` it counts as abusive.
   *
   * What the client was allowed to send while the process did not run is read at once afterwards: it costs no tokens.
   */
  take(nowMs: number, stoppedMs = 0): boolean {
    if (stoppedMs > this.#stoppedMs) {
      const creditedMs = Math.min(maxCreditedStopMs, stoppedMs - this.#stoppedMs);
      this.#credit = (creditedMs / 1000) * this.#ratePerS;
      this.#creditEndsAtMs = nowMs + stopCreditMs;
      this.#stoppedMs = stoppedMs;
    }
    if (this.#credit >= 1 && nowMs < this.#creditEndsAtMs) {
      this.#credit -= 1;
      return true;
    }
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
