import type { EntryBatch } from '../stream/entry-batch.ts';

/** The batches between their read and their acknowledgement. */
export class InFlight {
  readonly #batches = new Set<EntryBatch>();

  add(batch: EntryBatch): void {
    this.#batches.add(batch);
  }

  remove(batch: EntryBatch): void {
    this.#batches.delete(batch);
  }

  /** Computed on demand: redeliveries are rare, and an index kept up to date would cost every entry. */
  ids(): Set<string> {
    const ids = new Set<string>();
    for (const { entries, vanishedIds } of this.#batches) {
      for (const { id } of entries) ids.add(id);
      for (const id of vanishedIds) ids.add(id);
    }
    return ids;
  }
}
