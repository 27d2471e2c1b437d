import { compareEntryIds } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';

/** Where a stream offset lies relative to the entries that this process has read. */
type Relation = 'within' | 'ahead' | 'before' | 'unknown';

/**
 * How far all streams are applied, and the epoch in which this offset is valid. All gateways read the same streams, so
 * an offset of one is valid for all.
 */
export class Timeline {
  readonly #cursors: readonly StreamCursor[];
  readonly #epochs: string[];
  /** Cursors whose epoch is the one in Redis. */
  readonly #shared = new Set<StreamCursor>();
  /** Epochs to be replaced in Redis, because the stream was rewound. */
  readonly #invalidated = new Map<StreamCursor, string>();
  readonly #newEpoch: () => string;
  readonly #waiting = new Set<() => void>();
  #streamOffset: string | undefined;

  /** @param newEpoch makes the epoch of a stream until the one in Redis is known; no other gateway accepts it. */
  constructor(cursors: readonly StreamCursor[], newEpoch: () => string) {
    this.#cursors = cursors;
    this.#newEpoch = newEpoch;
    this.#epochs = cursors.map(newEpoch);
  }

  /** The applied ids, joined by commas; undefined until every cursor is located. */
  get streamOffset(): string | undefined {
    return this.#streamOffset;
  }

  get epoch(): string {
    return this.#epochs.join('.');
  }

  /** @returns whether the epoch has changed. */
  setEpoch(cursor: StreamCursor, epoch: string): boolean {
    const index = this.#cursors.indexOf(cursor);
    this.#invalidated.delete(cursor);
    this.#shared.add(cursor);
    if (this.#epochs[index] === epoch) return false;
    this.#epochs[index] = epoch;
    this.#wake();
    return true;
  }

  /** The stream was rewound: earlier cursors are invalid, and this process uses its own epoch until Redis has a new one. */
  invalidateEpoch(cursor: StreamCursor): void {
    const index = this.#cursors.indexOf(cursor);
    const epoch = this.#epochs[index];
    if (epoch !== undefined && this.#shared.delete(cursor)) this.#invalidated.set(cursor, epoch);
    this.#epochs[index] = this.#newEpoch();
    this.#wake();
  }

  /** The epoch that must be replaced in Redis, if any. */
  invalidatedEpoch(cursor: StreamCursor): string | undefined {
    return this.#invalidated.get(cursor);
  }

  /** Call after a cursor has moved. */
  noteProgress(): void {
    const appliedIds = this.#cursors.flatMap(({ appliedId }) => appliedId ?? []);
    this.#streamOffset = appliedIds.length === this.#cursors.length ? appliedIds.join() : undefined;
    this.#wake();
  }

  relate(appliedIds: readonly string[]): Relation {
    if (appliedIds.length !== this.#cursors.length) return 'unknown';
    let relation: Relation = 'within';
    for (const [index, { appliedId, readFromId }] of this.#cursors.entries()) {
      const requested = appliedIds[index];
      if (requested === undefined) return 'unknown';
      if (appliedId === undefined || compareEntryIds(requested, appliedId) > 0) return 'ahead';
      if (readFromId !== undefined && compareEntryIds(requested, readFromId) < 0) relation = 'before';
    }
    return relation;
  }

  /** Waits until the streams are applied up to these ids, the epoch changes, or `limitMs` have passed. */
  async reach(appliedIds: readonly string[], epoch: string, limitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = (): void => {
      if (this.epoch !== epoch || this.relate(appliedIds) !== 'ahead') resolve();
    };
    const timer = setTimeout(resolve, limitMs);
    this.#waiting.add(check);
    try {
      check();
      await promise;
    } finally {
      this.#waiting.delete(check);
      clearTimeout(timer);
    }
  }

  #wake(): void {
    for (const check of this.#waiting) check();
  }
}
