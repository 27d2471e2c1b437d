import { compareEntryIds } from '@app/shared/entry';
import type { GroupState } from './group-state.ts';

/** Entries that were trimmed or deleted before they were delivered to the group. */
export interface Loss {
  /** At least this many. */
  readonly entries: number;
  readonly afterId: string;
  readonly beforeId: string;
}

/**
 * Detects lost entries by comparing the oldest id in the stream with the last one delivered to the group. The group's
 * `lag` shows no loss: Redis 7.0 keeps counting trimmed entries as lag, later versions correct it silently.
 *
 * Only reads: each processor counts for itself, and what is trimmed between a check and the next read may be missed, so
 * the count is a lower bound.
 */
export class LossDetector {
  /** Entries that Redis never counts as read because they were lost before; see `check`. */
  #uncounted = 0;
  #reportedEndId = '0-0';
  #lastGeneratedId = '0-0';

  /**
   * To be called with the state before each read of new entries. Returns each loss once; without `entriesAdded` none, since
   * nothing tells whether an entry was removed before its delivery or after.
   */
  check(state: GroupState): Loss | undefined {
    const { firstId, lastGeneratedId, lastDeliveredId, entriesAdded, length, entriesRead } = state;
    if (entriesAdded === null) return undefined;
    // The stream was emptied or restored: what is remembered is about another one.
    if (compareEntryIds(lastGeneratedId, this.#lastGeneratedId) < 0) {
      this.#uncounted = 0;
      this.#reportedEndId = '0-0';
    }
    this.#lastGeneratedId = lastGeneratedId;
    if (compareEntryIds(lastGeneratedId, lastDeliveredId) <= 0) {
      // Everything was delivered: what Redis has not counted as read was lost before, or its counter was restored.
      // Never negative: another consumer may have read between the two XINFO.
      this.#uncounted = Math.max(0, entriesAdded - (entriesRead ?? entriesAdded));
      return undefined;
    }
    if (firstId !== undefined && compareEntryIds(firstId, lastDeliveredId) <= 0) return undefined;
    const removed = entriesAdded - length;
    if (removed === 0) return undefined;
    const beforeId = firstId ?? lastGeneratedId;
    const range = { afterId: lastDeliveredId, beforeId };
    if (entriesRead === null && lastDeliveredId !== '0-0') {
      // Without Redis' counter at least the entry after the last delivered one.
      if (compareEntryIds(beforeId, this.#reportedEndId) <= 0) return undefined;
      this.#reportedEndId = beforeId;
      return { entries: 1, ...range };
    }
    // All entries up to the last delivered one have left the stream, so the sum can exceed `removed` only if Redis has
    // corrected its counter since: versions after 7.0 do at the next read.
    const read = entriesRead ?? 0;
    const isCorrected = read + this.#uncounted > removed;
    const entries = removed - (isCorrected ? read : read + this.#uncounted);
    this.#uncounted = removed - read;
    return entries > 0 ? { entries, ...range } : undefined;
  }
}
