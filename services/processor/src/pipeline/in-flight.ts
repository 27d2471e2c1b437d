import type { EntryBatch } from '../stream/read-entries.ts';

/** The batches between their read and their acknowledgement. */
export class InFlight {
  readonly #batches = new Set<EntryBatch>();
  #removed = Promise.withResolvers<void>();

  add(batch: EntryBatch): void {
    this.#batches.add(batch);
  }

  remove(batch: EntryBatch): void {
    this.#batches.delete(batch);
    this.#removed.resolve();
    this.#removed = Promise.withResolvers<void>();
  }

  /** Resolves when no more than `limit` batches are in flight. */
  async capacity(limit: number): Promise<void> {
    while (this.#batches.size > limit) await this.#removed.promise;
  }

  /** Built when asked for: redeliveries are rare, and every entry would pay for an index kept up to date. */
  ids(): Set<string> {
    const ids = new Set<string>();
    for (const { entries, vanishedIds } of this.#batches) {
      for (const { id } of entries) ids.add(id);
      for (const id of vanishedIds) ids.add(id);
    }
    return ids;
  }
}
