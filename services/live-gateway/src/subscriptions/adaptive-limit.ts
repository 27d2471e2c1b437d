/**
 * A limit on concurrent requests that follows the health of the server: one more after each success, half after each
 * failure, at least one. While the server is down one request at a time probes it.
 */
export class AdaptiveLimit {
  readonly #max: number;
  #limit: number;
  #active = 0;
  #hasFailedLast = false;

  constructor(max: number) {
    this.#max = max;
    this.#limit = max;
  }

  get hasCapacity(): boolean {
    return this.#active < this.#limit;
  }

  get hasFailedLast(): boolean {
    return this.#hasFailedLast;
  }

  /** Runs a request; `hasFailed` tells from its result whether the server failed. A rejection tells nothing about it. */
  async run<T>(request: () => Promise<T>, hasFailed: (result: T) => boolean): Promise<T> {
    this.#active += 1;
    let result: T;
    try {
      result = await request();
    } finally {
      this.#active -= 1;
    }
    this.#hasFailedLast = hasFailed(result);
    this.#limit = this.#hasFailedLast
      ? Math.max(1, Math.floor(this.#limit / 2))
      : Math.min(this.#max, this.#limit + 1);
    return result;
  }
}
