/** Fraction of a tick reserved for Redis to answer. */
const replyShare = 0.05;
const maxLeadShare = 0.5;

/**
 * How long to wait before the next read of the stream, in ms, so that its entries are applied shortly before a tick.
 * Clients see nothing earlier than a tick, and each read costs as much as decoding a dozen entries; entries read too
 * late wait for the next tick.
 *
 * @param appliedMs how long applying the entries of the last read took; twice as long is reserved for the next.
 */
export function waitBeforeReadMs(untilTickMs: number, tickMs: number, appliedMs: number): number {
  const leadMs = Math.min(tickMs * replyShare + 2 * appliedMs, tickMs * maxLeadShare);
  const waitMs = untilTickMs - leadMs;
  // Timers are some ms early or late: if little is left, the read for this tick has just been made.
  return Math.max(0, waitMs > leadMs / 2 ? waitMs : waitMs + tickMs);
}
