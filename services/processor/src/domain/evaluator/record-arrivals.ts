import { entryArrivedAtMs } from '@app/shared/entry';
import type { StoredFix } from '../stored-fixes.ts';

export interface Arrivals {
  readonly recordAtMs: number;
  /** Of the newest good one. */
  readonly goodAtMs: number | undefined;
}

/**
 * When records of each device were stored or announced as stored, by the clocks of Postgres and Redis: the tracker's clock
 * may be wrong, so fixes outside the time of the event count as well.
 */
export class RecordArrivals {
  readonly #arrivals = new Map<string, Arrivals>();

  of(deviceId: string): Arrivals | undefined {
    return this.#arrivals.get(deviceId);
  }

  note(deviceId: string, atMs: number, isGood: boolean): void {
    const known = this.#arrivals.get(deviceId);
    this.#arrivals.set(deviceId, {
      recordAtMs: Math.max(known?.recordAtMs ?? -Infinity, atMs),
      goodAtMs: isGood ? Math.max(known?.goodAtMs ?? -Infinity, atMs) : known?.goodAtMs,
    });
  }

  /** @param entryId of the event's stream */
  noteStored(entryId: string, [deviceId, , , , , , , , , quality]: StoredFix): void {
    this.note(deviceId, entryArrivedAtMs(entryId), quality === 0);
  }
}
