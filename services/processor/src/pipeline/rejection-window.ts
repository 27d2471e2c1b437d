import type { Rejected } from '../fix.ts';

/** The window is as many whole batches as it takes for this many entries. */
const windowEntries = 1000;
/** Fewer rejected entries prove nothing: a test with three records, two of them broken. */
const minRejected = 250;
/** A few broken trackers may send most entries at night, and must not stop the others. */
const maxDevices = 10;

/** Most of the recent entries were rejected, from many devices. */
export interface MassRejection {
  readonly entries: number;
  readonly rejected: number;
  /** Rejected entries by reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

interface Batch {
  /** Without those rejected for an accepted reason. */
  readonly entries: number;
  readonly rejected: readonly { readonly reason: string; readonly deviceId: string | undefined }[];
}

/**
 * Detects a fault that does not lie with single devices: a wrong clock, a producer that broke its format, a constraint. Then
 * more than half of the last entries are rejected, at least 250, of more than ten devices.
 */
export class RejectionWindow {
  readonly #acceptedReasons: ReadonlySet<string>;
  readonly #batches: Batch[] = [];
  #entries = 0;

  /** @param acceptedReasons entries rejected for one of these are left out. */
  constructor(acceptedReasons: Iterable<string>) {
    this.#acceptedReasons = new Set(acceptedReasons);
  }

  /** Adds a batch; returns the mass rejection that its rejected entries are part of. */
  observe(entries: number, rejected: readonly Rejected[]): MassRejection | undefined {
    const counted = rejected.filter(({ reason }) => !this.#acceptedReasons.has(reason));
    const batch = {
      entries: entries - rejected.length + counted.length,
      rejected: counted.map(({ reason, deviceId }) => ({ reason, deviceId })),
    };
    this.#batches.push(batch);
    this.#entries += batch.entries;
    for (let oldest = this.#batches[0]; oldest !== undefined; oldest = this.#batches[0]) {
      if (this.#entries - oldest.entries < windowEntries) break;
      this.#batches.shift();
      this.#entries -= oldest.entries;
    }
    return counted.length === 0 ? undefined : this.#check();
  }

  #check(): MassRejection | undefined {
    const rejected = this.#batches.flatMap((batch) => batch.rejected);
    if (rejected.length < minRejected || 2 * rejected.length <= this.#entries) return undefined;
    const known = rejected.flatMap(({ deviceId }) => deviceId ?? []);
    // An entry without a device id is the producer's fault, and counts as another device.
    const devices = new Set(known).size + rejected.length - known.length;
    if (devices <= maxDevices) return undefined;
    const byReason = Map.groupBy(rejected, ({ reason }) => reason);
    const reasons = Object.fromEntries([...byReason].map(([reason, each]) => [reason, each.length]));
    return { entries: this.#entries, rejected: rejected.length, reasons };
  }
}
