import { setTimeout as wait } from 'node:timers/promises';

export interface RetryOptions {
  /** Ends the wait between two attempts immediately. The attempt itself must also observe it. */
  readonly signal: AbortSignal;
  /** Default: every error is retried. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** Called before each wait, with the number of the failed attempt, from 1. */
  readonly onRetry?: (error: unknown, delayMs: number, attemptNumber: number) => void;
  /** Upper bound of the first wait, default 100. */
  readonly initialDelayMs?: number;
  /** Upper bound of every wait, default 15 000. */
  readonly maxDelayMs?: number;
  /** Default: unlimited. */
  readonly maxAttempts?: number;
  /** A number in [0, 1). */
  readonly random?: () => number;
}

/**
 * Calls `attempt` with its number, from 1, until it succeeds. Waits between attempts with full jitter (a random time
 * between 0 and a bound that doubles), so that clients that failed together do not retry together.
 *
 * Rejects with the last attempt's error if it is not retryable or attempts are used up, and with the signal's reason once
 * the signal is aborted.
 */
export async function retry<T>(
  attempt: (attemptNumber: number) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { signal, isRetryable, onRetry, maxAttempts = Number.POSITIVE_INFINITY } = options;
  for (let attemptNumber = 1; ; attemptNumber += 1) {
    signal.throwIfAborted();
    try {
      return await attempt(attemptNumber);
    } catch (error) {
      // An attempt interrupted by the stop counts as stopped, not as failed.
      signal.throwIfAborted();
      if (attemptNumber >= maxAttempts || isRetryable?.(error) === false) {
        throw error;
      }
      const delayMs = fullJitterMs(attemptNumber, options);
      onRetry?.(error, delayMs, attemptNumber);
      await delay(delayMs, signal);
    }
  }
}

/** Resolves after `ms`; rejects with the signal's reason once it is aborted. */
export async function delay(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    // The timer wraps the reason in an AbortError.
    signal.throwIfAborted();
    throw error;
  }
}

/** The wait after failed attempt `attemptNumber` (from 1), in whole milliseconds. */
export function fullJitterMs(
  attemptNumber: number,
  options: { readonly initialDelayMs?: number; readonly maxDelayMs?: number; readonly random?: () => number },
): number {
  const { initialDelayMs = 100, maxDelayMs = 15_000, random = Math.random } = options;
  // The exponent is bounded because 0 * Infinity is NaN.
  const boundMs = Math.min(maxDelayMs, initialDelayMs * 2 ** Math.min(attemptNumber - 1, 31));
  return Math.floor(random() * (boundMs + 1));
}
