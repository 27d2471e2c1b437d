import type { EntriesReply } from './entry-reply.ts';

/** Expected size before the first read: large, because the entries before may have ended the process. */
const initialEntryBytes = 128 * 1024;

/** Limits the bytes of a read: COUNT is in entries, and an entry may be of any size. */
export class ReadLimiter {
  readonly #maxBytes: number;
  #entryBytes = initialEntryBytes;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Grows at once and shrinks by halves, so that a few large entries among small ones are remembered for a while. */
  observe({ entries, bytes }: EntriesReply): void {
    if (entries.length > 0) this.#entryBytes = Math.max(bytes / entries.length, this.#entryBytes / 2);
  }

  /** The COUNT of a read: `maxEntries`, or fewer if entries are large. */
  limit(maxEntries: number): number {
    return Math.max(1, Math.min(maxEntries, Math.floor(this.#maxBytes / this.#entryBytes)));
  }
}
