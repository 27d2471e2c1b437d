import { hash } from 'node:crypto';

/** Counts of the records sent. */
export interface SentCounts {
  /** Sum of the four below. */
  readonly records: number;
  /** Distinct (device, fix time) pairs: the rows to expect. */
  readonly distinct: number;
  /** Identical records sent again. */
  readonly duplicates: number;
  /** Different records of a device and fix time already sent: expected as dead letters (`same_time`). */
  readonly conflicting: number;
  /** Corrupt records: expected as dead letters. */
  readonly bad: number;
}

/** Fix times kept per device to recognise duplicates: one hour. An older record sent again would count as distinct. */
const rememberedPerDevice = 3_600;

/** Counts the records sent; can be read while a feed runs. */
export class Tally {
  /** device → fix time → first 48 bits of the hash of its first payload. */
  readonly #sent = new Map<string, Map<number, number>>();
  #records = 0;
  #distinct = 0;
  #duplicates = 0;
  #conflicting = 0;
  #bad = 0;

  get counts(): SentCounts {
    return {
      records: this.#records,
      distinct: this.#distinct,
      duplicates: this.#duplicates,
      conflicting: this.#conflicting,
      bad: this.#bad,
    };
  }

  countRecord(deviceId: string, fixAtMs: number, payload: string): void {
    this.#records += 1;
    const fingerprint = hash('sha1', payload, 'buffer').readUIntBE(0, 6);
    const stamps = this.#sent.get(deviceId) ?? new Map<number, number>();
    this.#sent.set(deviceId, stamps);

    const first = stamps.get(fixAtMs);
    if (first === undefined) {
      this.#distinct += 1;
      stamps.set(fixAtMs, fingerprint);
      const [oldest] = stamps.keys();
      if (stamps.size > rememberedPerDevice && oldest !== undefined) stamps.delete(oldest);
    } else if (first === fingerprint) {
      this.#duplicates += 1;
    } else {
      this.#conflicting += 1;
    }
  }

  countBad(): void {
    this.#records += 1;
    this.#bad += 1;
  }
}
