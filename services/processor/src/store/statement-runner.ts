import { DeadlineError } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import { sqlState } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { retry } from '@app/runtime/retry';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import { permanentErrorLimitMs } from '../stream/redis-error.ts';
import { RetryState, type StatementRetries } from './retry-state.ts';
import { isLimitExceeded, mayPass, withRemedy } from './statement-errors.ts';

export const maxRetryDelayMs = 15_000;
const firstRetryDelayMs = 50;

export interface StatementRunnerOptions {
  readonly postgres: PostgresClient;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Called when a retry begins. */
  readonly onRetry: () => void;
  /** How long an exceeded limit of the configuration is retried; default: that of redis-error.ts. */
  readonly permanentErrorLimitMs?: number | undefined;
}

export interface StatementControl {
  readonly abandon: AbortSignal;
  /** Called before each wait for Postgres. */
  readonly onWait?: (() => void) | undefined;
  /** Errors that the caller handles: they are thrown instead of retried. */
  readonly isHandled?: (error: unknown) => boolean;
}

/** Runs the statements of one loop, and retries those whose errors may pass. */
export class StatementRunner {
  readonly #options: StatementRunnerOptions;
  readonly #retries: RetryState;

  constructor(options: StatementRunnerOptions) {
    this.#options = options;
    this.#retries = new RetryState(options.log);
  }

  /** Why a statement is being retried, and so nothing more is read; undefined if none is. */
  get retryReason(): string | undefined {
    return this.#retries.reason;
  }

  /** Resolves when no statement is being retried. */
  async whenNotRetrying(): Promise<void> {
    return this.#retries.whenNotRetrying();
  }

  /**
   * Runs a statement until it succeeds. A transient error is retried as long as it lasts, an exceeded limit of the
   * configuration for a minute. Rejects with any other error, or with the reason of `abandon` once that aborts.
   */
  async run<T>(
    statement: (sql: postgres.Sql) => Promise<T>,
    { abandon, onWait, isHandled = () => false }: StatementControl,
  ): Promise<T> {
    const {
      postgres: client,
      metrics,
      permanentErrorLimitMs: limitMs = permanentErrorLimitMs,
    } = this.#options;
    const startedAtMs = performance.now();
    using stack = new DisposableStack();
    let retrying: StatementRetries | undefined;
    const result = await retry(
      async () => {
        const end = metrics.writeDurationSeconds.startTimer();
        try {
          return await client.run(statement);
        } finally {
          end();
        }
      },
      {
        signal: abandon,
        initialDelayMs: firstRetryDelayMs,
        maxDelayMs: maxRetryDelayMs,
        isRetryable: (error) =>
          mayPass(error) &&
          !isHandled(error) &&
          !(isLimitExceeded(error) && performance.now() - startedAtMs > limitMs),
        onRetry: (error) => {
          onWait?.();
          if (retrying === undefined) retrying = stack.use(this.beginRetrying(error));
          else {
            this.#countRetry(error);
            this.#retries.note(withRemedy(error), retryReason(error));
          }
        },
      },
    ).catch((error: unknown) => {
      throw isHandled(error) ? error : withRemedy(error);
    });
    retrying?.succeed();
    return result;
  }

  /** For a caller that retries in its own way: lasts until it is disposed of. */
  beginRetrying(cause: unknown): StatementRetries {
    this.#countRetry(cause);
    return this.#retries.begin(withRemedy(cause), retryReason(cause));
  }

  #countRetry(cause: unknown): void {
    const { metrics, onRetry } = this.#options;
    metrics.writeRetries.inc({ class: sqlState(cause)?.slice(0, 2) ?? retryReason(cause) });
    onRetry();
  }
}

/** `deadline`, `connection` or the SQLSTATE. */
function retryReason(error: unknown): string {
  if (error instanceof DeadlineError) return 'deadline';
  return sqlState(error) ?? 'connection';
}
