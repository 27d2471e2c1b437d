import { hash } from 'node:crypto';

/** What was sent, and what of it a processor can store. */
export interface SentCounts {
  /** All of them; the sum of the four below. */
  readonly records: number;
  /** Different (device, stamp) pairs: the rows that must come of it. */
  readonly distinct: number;
  /** The same record once more. */
  readonly duplicates: number;
  /** Another record of a device and stamp already sent: to be parked as `same_time`. */
  readonly conflicting: number;
  /** Broken on purpose: to be parked with its reason. */
  readonly bad: number;
}

/**
 * Stamps remembered per device, to tell a duplicate: an hour of a tracker. An older
 * record that came once more would count as distinct; no source here does that.
 */
const rememberedPerDevice = 3_600;

/** Counts what was sent. May be read at any time, while a feed runs too. */
export class Tally {
  /** device → stamp → the first 48 bits of its first payload's hash. */
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
