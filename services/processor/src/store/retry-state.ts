import type { Logger } from '@app/runtime/log';

/** Lasts while one write is retried; one that is abandoned is disposed of without `succeed`. */
export interface WriteRetries extends Disposable {
  succeed(): void;
}

/** Counts the writes being retried, and logs one line when an outage begins and one when it ends. */
export class RetryState {
  readonly #log: Logger;
  #writes = 0;
  #startedAtMs = 0;
  #idle = Promise.withResolvers<void>();

  constructor(log: Logger) {
    this.#log = log;
    this.#idle.resolve();
  }

  get isRetrying(): boolean {
    return this.#writes > 0;
  }

  /** Resolves when no write is being retried. */
  async whenNotRetrying(): Promise<void> {
    while (this.isRetrying) await this.#idle.promise;
  }

  begin(cause: unknown, rows: number): WriteRetries {
    if (this.#writes === 0) {
      this.#idle = Promise.withResolvers<void>();
      this.#startedAtMs = performance.now();
      this.#log.warn({ error: cause, rows }, 'insert failed; retrying');
    }
    this.#writes += 1;
    let hasSucceeded = false;
    return {
      succeed: () => {
        hasSucceeded = true;
      },
      [Symbol.dispose]: () => {
        this.#writes -= 1;
        if (this.isRetrying) return;
        const outageMs = Math.round(performance.now() - this.#startedAtMs);
        if (hasSucceeded) this.#log.info({ outageMs }, 'insert succeeded after retries');
        this.#idle.resolve();
      },
    };
  }
}
