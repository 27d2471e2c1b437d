// What the client waits for, in milliseconds.

/** The first wait before another attempt is drawn from 0 to this; the range doubles with each failure, */
const firstRetryMs = 1_000;
/** up to this. */
export const longestRetryMs = 30_000;
/** A connection that lasted for so long was a success: after it the range starts anew. */
export const stableAfterMs = 10_000;
/** Waking up (`online`, a page that is seen again) ends a wait, but attempts keep this distance. */
export const attemptGapMs = 1_000;
/** An attempt that has not opened by then has failed. */
export const openLimitMs = 10_000;
/** The server says something every 25 s at least: after so long without a word it is doubtful, and asked. */
export const silenceMs = 35_000;
/** An answer to that, or to a question to the page (`checkSession`, `refreshSession`), is waited for so long. */
export const answerLimitMs = 10_000;
/** After waking up the connection is suspected at once, and has less time to prove itself. */
export const wokenAnswerLimitMs = 5_000;
/** How long to stay away after 4005, too many messages. */
export const tooManyMessagesPauseMs = 5_000;
/** A map that is being moved wants many updates; they are sent at this distance, the newest wins. */
export const updateGapMs = 500;

/**
 * A wait of "full jitter": anywhere between nothing and a limit that doubles with each failure, so that clients which
 * were cut off together do not come back together.
 *
 * @param random 0 to below 1
 */
export function drawRetryMs(failures: number, random: number): number {
  return random * Math.min(longestRetryMs, firstRetryMs * 2 ** failures);
}
