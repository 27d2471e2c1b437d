import { compareEntryIds } from '@app/shared/entry';
import type { StreamLag } from './stream-lag.ts';

type Sample = Pick<StreamLag, 'entries' | 'length' | 'entriesAdded' | 'lastGeneratedId'>;

/**
 * Detects a stream that was emptied, deleted or restored in an older state: its counter or its last id went back. Redis no
 * longer knows what was lost with it, so all that is known is what was undelivered at the last sample.
 */
export class RewindDetector {
  #last: Sample | undefined;

  /** The most entries that were undelivered at the last sample and are gone; 0 if the stream did not go back. */
  check(sample: Sample): number {
    const last = this.#last;
    this.#last = sample;
    if (last === undefined) return 0;
    const removed = (last.entriesAdded ?? 0) - (sample.entriesAdded ?? 0);
    if (removed <= 0 && compareEntryIds(sample.lastGeneratedId, last.lastGeneratedId) >= 0) return 0;
    const undelivered = last.entries ?? last.length;
    return removed > 0 ? Math.min(undelivered, removed) : undelivered;
  }
}
