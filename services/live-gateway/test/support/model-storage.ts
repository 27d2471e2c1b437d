import type { AssignmentRow } from '../../src/assignments/assignments.ts';
import type { LatestFix } from '../../src/latest/latest-fixes.ts';
import type { NewestFixQuery, NewestFixResult } from '../../src/latest/read-newest-fixes.ts';

export const eventIds = [
  '00000000-0000-4000-8000-000000000001',
  '00000000-0000-4000-8000-000000000002',
] as const;
export const imeis = ['imei-1', 'imei-2', 'imei-3', 'imei-4'] as const;

/** @param bits one for each event and device; a set bit is an assignment. */
export function assignmentsOf(bits: number): readonly AssignmentRow[] {
  return eventIds.flatMap((eventId, e) =>
    imeis.flatMap((imei, d) =>
      (bits >> (e * imeis.length + d)) & 1 ? [{ eventId, deviceId: `id of ${imei}`, imei }] : [],
    ),
  );
}

/** The stream and the database: entries in order, and rows that may be marked as faulty. */
export class ModelStorage {
  readonly entries: LatestFix[] = [];
  epoch = 'epoch-0';
  readonly #faulty = new Set<string>();

  /** Fixes of one device with the same time are equal, as in `positions`. */
  publish(deviceId: string, fixAtMs: number): void {
    this.entries.push(fixOf(deviceId, fixAtMs, String(this.entries.length + 1)));
  }

  markFaulty(deviceId: string): void {
    const newest = this.newest(deviceId);
    if (newest !== undefined) this.#faulty.add(keyOf(newest));
  }

  /** Answers as `readNewestFixes`. */
  readNewest(queries: readonly NewestFixQuery[]): readonly NewestFixResult[] {
    return queries.map(({ deviceId, heldFixAtMs }) => ({
      deviceId,
      newest: this.newest(deviceId),
      heldFaultyFixAtMs: this.#faulty.has(`${deviceId} ${heldFixAtMs}`) ? heldFixAtMs : undefined,
      faultyFixAtMs: this.#newestFaulty(deviceId),
    }));
  }

  /** The time of the newest faulty fix, if it is newer than every valid one. */
  #newestFaulty(deviceId: string): number | undefined {
    const faulty = this.entries.filter((fix) => fix.deviceId === deviceId && this.#faulty.has(keyOf(fix)));
    const newest = Math.max(...faulty.map(({ fixAtMs }) => fixAtMs));
    return newest > (this.newest(deviceId)?.fixAtMs ?? 0) ? newest : undefined;
  }

  /** The newest valid fix, as Postgres returns it. */
  newest(deviceId: string): LatestFix | undefined {
    const valid = this.entries.filter((fix) => fix.deviceId === deviceId && !this.#faulty.has(keyOf(fix)));
    const newest = valid.toSorted((a, b) => b.fixAtMs - a.fixAtMs)[0];
    return newest === undefined ? undefined : { ...newest, arrivedAtMs: undefined, entryRef: undefined };
  }
}

function fixOf(deviceId: string, fixAtMs: number, id: string): LatestFix {
  return {
    deviceId,
    fixAtMs,
    latitude: 1,
    // Devices move in and out of the boxes.
    longitude: (fixAtMs * 7 + deviceId.charCodeAt(5) * 3) % 10,
    altitudeM: 3,
    courseDeg: 4,
    speedKmh: 5,
    arrivedAtMs: Number(id),
    entryRef: { stream: 0, id: `${id}-0` },
  };
}

function keyOf({ deviceId, fixAtMs }: LatestFix): string {
  return `${deviceId} ${fixAtMs}`;
}
