/** Of a tick: time enough for Redis to answer. */
const answerShare = 0.05;
const longestShare = 0.5;

/**
 * How long reading the stream may wait, in ms, so that it is done shortly before a tick. What is read sooner nobody sees
 * sooner, and a read costs as much as the decoding of a dozen entries; what is read too late waits for the next tick.
 *
 * @param appliedMs how long it took to apply the entries of the last read: these will take as long, or twice.
 */
export function lingerMs(untilTickMs: number, tickMs: number, appliedMs: number): number {
  const leadMs = Math.min(tickMs * answerShare + 2 * appliedMs, tickMs * longestShare);
  const waitMs = untilTickMs - leadMs;
  // Timers are some ms early or late: the read for this tick may have been made just now.
  return Math.max(0, waitMs > leadMs / 2 ? waitMs : waitMs + tickMs);
}
