// Delays and timeouts of the client.

/** Upper bound of the first retry delay; it doubles with each failure up to `maxRetryMs`. */
const firstRetryMaxMs = 1_000;
export const maxRetryMs = 30_000;
/** A connection that lasted this long resets the retry delay. */
export const stableAfterMs = 10_000;
/** Minimum time between attempts if a wake-up (`online`, a visible page) ends a retry delay. */
export const attemptGapMs = 1_000;
/** A connection attempt fails after this time. */
export const connectTimeoutMs = 10_000;
/** Without a message for this time the connection is stale and a ping is sent; the server sends one every 25 s. */
export const staleAfterMs = 35_000;
/** Timeout of that ping and of `checkSession` and `refreshSession`. */
export const responseTimeoutMs = 10_000;
/** Timeout of the ping sent after waking up. */
export const wakeResponseTimeoutMs = 5_000;
/** Minimum delay before reconnecting after 4005, too many messages. */
export const tooManyMessagesPauseMs = 5_000;
/** Minimum time between updates of the view; the newest view is sent. */
export const updateGapMs = 500;

/**
 * A retry delay with full jitter: a random part of a limit that doubles with each failure, so that clients that were
 * disconnected together do not reconnect together.
 *
 * @param random a number in [0, 1)
 */
export function retryDelayMs(failures: number, random: number): number {
  return random * Math.min(maxRetryMs, firstRetryMaxMs * 2 ** failures);
}
