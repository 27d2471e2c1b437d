import { compareEntryIds, entryArrivedAtMs } from '@app/shared/entry';

/** Lower than every entry id. */
export const beforeAllEntries = '0-0';

/** What Redis says about a stream; one that does not exist has had no entries. */
export interface StreamInfo {
  readonly exists: boolean;
  readonly length: number;
  readonly lastGeneratedId: string;
  /** Entries ever added, including trimmed ones. */
  readonly entriesAdded: number;
}

/** How far the gateway has read and applied one stream. */
export class StreamCursor {
  readonly stream: string;
  #appliedId: string | undefined;
  #readFromId: string | undefined;
  /** The stream as first seen; once its last entry is applied, the cursor has caught up. */
  #target: StreamInfo | undefined;
  #isCaughtUp = false;
  #entriesPastTarget = 0;
  #lastProgressAtMs = Number.NaN;
  #lastEntryAtMs = Number.NaN;
  #isReadable = false;

  constructor(stream: string) {
    this.stream = stream;
  }

  /** All entries up to this id are in the latest fixes; undefined before the cursor is located. */
  get appliedId(): string | undefined {
    return this.#appliedId;
  }

  /** This process has read every entry after this id, up to the applied one. */
  get readFromId(): string | undefined {
    return this.#readFromId;
  }

  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** When the read loop last completed an iteration, successful or not, by the monotonic clock; NaN before the first. */
  get lastProgressAtMs(): number {
    return this.#lastProgressAtMs;
  }

  /** The consumer group field `entries-read`; undefined while it is unknown. */
  get entriesRead(): number | undefined {
    return this.#isCaughtUp && this.#target !== undefined
      ? this.#target.entriesAdded + this.#entriesPastTarget
      : undefined;
  }

  /** When the newest entry was added, by Redis' clock; NaN if there never was one, and while the stream cannot be read. */
  get lastEntryAtMs(): number {
    return this.#isReadable ? this.#lastEntryAtMs : Number.NaN;
  }

  /** The last read failed: there may be newer entries than the known ones. */
  noteFailedRead(): void {
    this.#isReadable = false;
  }

  noteProgress(): void {
    this.#lastProgressAtMs = performance.now();
  }

  /**
   * Moves the cursor to where the next read starts. The first time that is `warmWindowMs` before the stream's end, by
   * Redis' clock, to read what the processor may not have stored yet. If the stream now ends before the applied entry
   * (it was deleted, or a failover lost its end), it is the stream's end. Otherwise the cursor stays.
   *
   * @returns true if the stream was rewound.
   */
  relocate(info: StreamInfo, warmWindowMs: number): boolean {
    const { lastGeneratedId } = info;
    this.#isReadable = true;
    if (lastGeneratedId !== beforeAllEntries) this.#lastEntryAtMs = entryArrivedAtMs(lastGeneratedId);
    if (this.#appliedId === undefined) {
      this.#target = info;
      this.#appliedId = idBefore(lastGeneratedId, warmWindowMs);
      this.#readFromId = this.#appliedId;
      this.#isCaughtUp = lastGeneratedId === beforeAllEntries;
      return false;
    }
    if (compareEntryIds(this.#appliedId, lastGeneratedId) <= 0) return false;
    this.#appliedId = lastGeneratedId;
    this.#readFromId = lastGeneratedId;
    this.#target = info;
    this.#entriesPastTarget = 0;
    this.#isCaughtUp = true;
    return true;
  }

  /** Moves the cursor past applied entries, given in order; none means that the stream had no more entries. */
  advance(entryIds: readonly string[]): void {
    const lastId = entryIds.at(-1);
    const targetId = this.#target?.lastGeneratedId ?? beforeAllEntries;
    if (lastId === undefined) {
      // The target entry may have been deleted or trimmed.
      this.#isCaughtUp = true;
      return;
    }
    this.#appliedId = lastId;
    this.#lastEntryAtMs = Math.max(entryArrivedAtMs(lastId), this.#lastEntryAtMs || 0);
    if (compareEntryIds(lastId, targetId) < 0) return;
    const isPastTarget = (id: string): boolean => compareEntryIds(id, targetId) > 0;
    this.#entriesPastTarget += this.#isCaughtUp ? entryIds.length : entryIds.filter(isPastTarget).length;
    this.#isCaughtUp = true;
  }
}

function idBefore(entryId: string, windowMs: number): string {
  return `${Math.max(0, entryArrivedAtMs(entryId) - windowMs)}-0`;
}
