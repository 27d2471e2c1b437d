import type { Logger } from '@app/runtime/log';

/** Lasts while one statement is retried; one that is abandoned is disposed of without `succeed`. */
export interface StatementRetries extends Disposable {
  succeed(): void;
}

/** Counts the statements being retried, and logs a line when an outage begins, when its cause changes, and when it ends. */
export class RetryState {
  readonly #log: Logger;
  #statements = 0;
  #startedAtMs = 0;
  #reason: string | undefined;
  #idle = Promise.withResolvers<void>();

  constructor(log: Logger) {
    this.#log = log;
    this.#idle.resolve();
  }

  /** Why the latest retry was needed; undefined if nothing is being retried. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Resolves when no statement is being retried. */
  async whenNotRetrying(): Promise<void> {
    while (this.#statements > 0) await this.#idle.promise;
  }

  begin(cause: unknown, reason: string): StatementRetries {
    if (this.#statements === 0) {
      this.#idle = Promise.withResolvers<void>();
      this.#startedAtMs = performance.now();
    }
    this.#statements += 1;
    this.note(cause, reason);
    let hasSucceeded = false;
    return {
      succeed: () => {
        hasSucceeded = true;
      },
      [Symbol.dispose]: () => {
        this.#statements -= 1;
        if (this.#statements > 0) return;
        this.#reason = undefined;
        const outageMs = Math.round(performance.now() - this.#startedAtMs);
        if (hasSucceeded) this.#log.info({ outageMs }, 'insert succeeded after retries');
        this.#idle.resolve();
      },
    };
  }

  /** Notes the cause of another retry. */
  note(cause: unknown, reason: string): void {
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.#log.warn({ error: cause }, 'insert failed; retrying');
  }
}
