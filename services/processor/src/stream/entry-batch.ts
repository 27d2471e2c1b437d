import type { Entry } from './entry-reply.ts';

/** Entries that are processed together. */
export interface EntryBatch {
  readonly entries: readonly Entry[];
  /** Pending ids that were deleted from the stream: they can only be acknowledged. */
  readonly vanishedIds: readonly string[];
  /** Delivered so often that one of the entries may have ended the process before. */
  readonly isQuarantined: boolean;
}

export function batchOf(entries: readonly Entry[], vanishedIds: readonly string[] = []): EntryBatch {
  return { entries, vanishedIds, isQuarantined: false };
}
