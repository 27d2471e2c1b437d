/** Of a tick: time enough for a read to be answered and applied. */
const leadShare = 0.15;

/**
 * How long reading the stream may wait, in ms, so that it is done shortly before a tick. What is read sooner nobody sees
 * sooner, and a read costs as much as the decoding of a dozen entries.
 */
export function lingerMs(untilTickMs: number, tickMs: number): number {
  const leadMs = tickMs * leadShare;
  const waitMs = untilTickMs - leadMs;
  // Timers are some ms early or late: the read for this tick may have been made just now.
  return Math.max(0, waitMs > leadMs / 2 ? waitMs : waitMs + tickMs);
}
