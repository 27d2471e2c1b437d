import { setTimeout as wait } from 'node:timers/promises';

/** What a retry may be told; every time is in milliseconds. */
export interface RetryOptions {
  /** Ends the wait between two attempts at once; the attempt itself has to watch it too. */
  readonly signal: AbortSignal;
  /** May this error be retried? Without it every error is. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** Called before each wait, for the log and the counter. `attemptNumber` is the one that failed, from 1. */
  readonly onRetry?: (error: unknown, delayMs: number, attemptNumber: number) => void;
  /** Upper bound of the first wait, 100 unless given. */
  readonly initialDelayMs?: number;
  /** Upper bound of every wait, 15 000 unless given. */
  readonly maxDelayMs?: number;
  /** Attempts in all; for ever unless given. */
  readonly maxAttempts?: number;
  /** A number in [0, 1). */
  readonly random?: () => number;
}

/**
 * Calls `attempt` (numbered from 1) until it succeeds, waiting between failures
 * a random time between 0 and a bound that doubles: full jitter, so that
 * clients which failed together do not come back together.
 *
 * Rejects with the attempt's error when it is not retryable or was the last one
 * allowed, and with the signal's reason once the signal is aborted.
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
      // An attempt that the stop interrupted ends as stopped, not as failed.
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

/** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
export async function delay(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    // The timer wraps the reason in an AbortError of its own.
    signal.throwIfAborted();
    throw error;
  }
}

/** The wait after the failed attempt `attemptNumber` (from 1): a whole number of ms, from 0 up to the bound. */
export function fullJitterMs(
  attemptNumber: number,
  options: { readonly initialDelayMs?: number; readonly maxDelayMs?: number; readonly random?: () => number },
): number {
  const { initialDelayMs = 100, maxDelayMs = 15_000, random = Math.random } = options;
  // The exponent is bounded too: 0 times Infinity is no number.
  const boundMs = Math.min(maxDelayMs, initialDelayMs * 2 ** Math.min(attemptNumber - 1, 31));
  return Math.floor(random() * (boundMs + 1));
}
