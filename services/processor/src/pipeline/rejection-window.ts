import type { Rejected } from '../fix.ts';

/** The window is as many whole batches as it takes for this many entries. */
const windowEntries = 1000;
/** Fewer rejected entries prove nothing: a test with three records, two of them broken. */
const minRejected = 250;
/** A few broken trackers may send most entries at night, and must not stop the others. */
const maxBrokenDevices = 10;
/** Fewer rejected entries of other devices prove nothing either, while only broken trackers send. */
const minOfOthers = 50;

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
 * at least 250 of the last entries are rejected, and without the ten devices with the most at least 50 and more than half.
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
    if (rejected.length < minRejected) return undefined;
    const perDevice = new Map<string | symbol, number>();
    for (const { deviceId } of rejected) {
      // An entry without a device id is the producer's fault, and counts as another device.
      const device = deviceId ?? Symbol('unknown');
      perDevice.set(device, (perDevice.get(device) ?? 0) + 1);
    }
    const mostFirst = [...perDevice.values()].toSorted((a, b) => b - a);
    const ofBroken = mostFirst.slice(0, maxBrokenDevices).reduce((sum, count) => sum + count, 0);
    const ofOthers = rejected.length - ofBroken;
    if (ofOthers < minOfOthers || 2 * ofOthers <= this.#entries - ofBroken) return undefined;
    const byReason = Map.groupBy(rejected, ({ reason }) => reason);
    const reasons = Object.fromEntries([...byReason].map(([reason, each]) => [reason, each.length]));
    return { entries: this.#entries, rejected: rejected.length, reasons };
  }
}
