import { compareEntryIds, entryArrivedAtMs } from '@app/shared/entry';

/** The id before the first one that a stream can have. */
export const beforeAllEntries = '0-0';

/** What Redis says about a stream; one that does not exist has had no entries. */
export interface StreamInfo {
  readonly exists: boolean;
  readonly length: number;
  readonly lastGeneratedId: string;
  /** All that were ever added, trimmed ones too. */
  readonly entriesAdded: number;
}

/** How far this process has come in one stream. */
export class StreamCursor {
  readonly stream: string;
  #appliedId: string | undefined;
  #seenSinceId: string | undefined;
  /** The stream's end as it was first seen: once that is applied, the feed has caught up. */
  #target: StreamInfo | undefined;
  #isCaughtUp = false;
  #entriesPastTarget = 0;
  #turnedAtMs = Number.NaN;
  #lastRecordAtMs = Number.NaN;

  constructor(stream: string) {
    this.stream = stream;
  }

  /** Everything up to this entry is in `latest`; undefined before the first contact with Redis. */
  get appliedId(): string | undefined {
    return this.#appliedId;
  }

  /** Every entry after this one was read here, up to the applied one. */
  get seenSinceId(): string | undefined {
    return this.#seenSinceId;
  }

  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** When the read loop last got an answer, missed a deadline or began anew, by the process's clock; NaN before it has begun. */
  get turnedAtMs(): number {
    return this.#turnedAtMs;
  }

  /** What Redis calls `entries-read`; undefined while it is not known. */
  get entriesRead(): number | undefined {
    return this.#isCaughtUp && this.#target !== undefined
      ? this.#target.entriesAdded + this.#entriesPastTarget
      : undefined;
  }

  /** When the newest entry that is known of came, by Redis' clock; NaN if there never was one. */
  get lastRecordAtMs(): number {
    return this.#lastRecordAtMs;
  }

  noteTurn(nowMs: number): void {
    this.#turnedAtMs = nowMs;
  }

  /**
   * Starts, or goes on after a reconnect. A first start begins `warmWindowMs` before the stream's end, by Redis'
   * clock: what the processor may not have stored yet is then read here. If the stream ends before what was applied
   * (it was emptied, or a failover lost its end), reading goes on from its end.
   *
   * @returns true if the stream went back.
   */
  locate(info: StreamInfo, warmWindowMs: number): boolean {
    const { lastGeneratedId } = info;
    if (lastGeneratedId !== beforeAllEntries) this.#lastRecordAtMs = entryArrivedAtMs(lastGeneratedId);
    if (this.#appliedId === undefined) {
      this.#target = info;
      this.#appliedId = idBefore(lastGeneratedId, warmWindowMs);
      this.#seenSinceId = this.#appliedId;
      this.#isCaughtUp = lastGeneratedId === beforeAllEntries;
      return false;
    }
    if (compareEntryIds(this.#appliedId, lastGeneratedId) <= 0) return false;
    this.#appliedId = lastGeneratedId;
    this.#seenSinceId = lastGeneratedId;
    this.#target = info;
    this.#entriesPastTarget = 0;
    this.#isCaughtUp = true;
    return true;
  }

  /** The entries with these ids, in their order, are in `latest`. An empty list: there was nothing after the applied one. */
  advance(entryIds: readonly string[]): void {
    const lastId = entryIds.at(-1);
    const targetId = this.#target?.lastGeneratedId ?? beforeAllEntries;
    if (lastId === undefined) {
      // The entries up to the target may have been deleted or trimmed.
      this.#isCaughtUp = true;
      return;
    }
    this.#appliedId = lastId;
    this.#lastRecordAtMs = Math.max(entryArrivedAtMs(lastId), this.#lastRecordAtMs || 0);
    if (compareEntryIds(lastId, targetId) < 0) return;
    const isPastTarget = (id: string): boolean => compareEntryIds(id, targetId) > 0;
    this.#entriesPastTarget += this.#isCaughtUp ? entryIds.length : entryIds.filter(isPastTarget).length;
    this.#isCaughtUp = true;
  }
}

function idBefore(entryId: string, windowMs: number): string {
  return `${Math.max(0, entryArrivedAtMs(entryId) - windowMs)}-0`;
}
