import { compareEntryIds } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';

/** How a place in the feed relates to what this process has seen of it. */
export type Relation = 'within' | 'ahead' | 'before' | 'unknown';

/**
 * How far the feed has been applied, over all streams, and the epoch in which that means anything. Every gateway reads
 * the same streams, so a position of one can be understood by all.
 */
export class Timeline {
  readonly #cursors: readonly StreamCursor[];
  readonly #epochs: string[];
  /** Places whose epoch is the one of Redis, and those whose one was and is in doubt. */
  readonly #known = new Set<StreamCursor>();
  readonly #doubted = new Map<StreamCursor, string>();
  readonly #drawText: () => string;
  readonly #waiting = new Set<() => void>();
  #position: string | undefined;

  /** @param drawText makes a random text: until Redis has said the epoch, a cursor is of use to nobody else. */
  constructor(places: readonly StreamCursor[], drawText: () => string) {
    this.#cursors = places;
    this.#drawText = drawText;
    this.#epochs = places.map(drawText);
  }

  /** The applied ids as a text; undefined before each stream was found. */
  get streamOffset(): string | undefined {
    return this.#position;
  }

  get epoch(): string {
    return this.#epochs.join('.');
  }

  /** @returns false if it was so already. */
  setEpoch(place: StreamCursor, epoch: string): boolean {
    const at = this.#cursors.indexOf(place);
    this.#doubted.delete(place);
    this.#known.add(place);
    if (this.#epochs[at] === epoch) return false;
    this.#epochs[at] = epoch;
    this.#wake();
    return true;
  }

  /** The stream went back: no cursor of before means anything, and none of this process until Redis has a new epoch. */
  invalidateEpoch(place: StreamCursor): void {
    const at = this.#cursors.indexOf(place);
    const epoch = this.#epochs[at];
    if (epoch !== undefined && this.#known.delete(place)) this.#doubted.set(place, epoch);
    this.#epochs[at] = this.#drawText();
    this.#wake();
  }

  /** The epoch that has to be replaced in Redis, if any. */
  invalidatedEpoch(place: StreamCursor): string | undefined {
    return this.#doubted.get(place);
  }

  /** A place has moved. */
  noteProgress(): void {
    const appliedIds = this.#cursors.flatMap(({ appliedId }) => appliedId ?? []);
    this.#position = appliedIds.length === this.#cursors.length ? appliedIds.join() : undefined;
    this.#wake();
  }

  relate(appliedIds: readonly string[]): Relation {
    if (appliedIds.length !== this.#cursors.length) return 'unknown';
    let relation: Relation = 'within';
    for (const [at, { appliedId, seenSinceId }] of this.#cursors.entries()) {
      const asked = appliedIds[at];
      if (asked === undefined) return 'unknown';
      if (appliedId === undefined || compareEntryIds(asked, appliedId) > 0) return 'ahead';
      if (seenSinceId !== undefined && compareEntryIds(asked, seenSinceId) < 0) relation = 'before';
    }
    return relation;
  }

  /** Waits until the feed is applied up to there, the epoch changes, or the time is up. */
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
