import type { Fix } from '../fix.ts';

/** A fix whose key, `(device_id, ts)`, an earlier fix of the batch has. */
export interface DuplicateKey {
  readonly fix: Fix;
  readonly first: Fix;
}

export interface FixesByKey {
  /** In key order, each key once. */
  readonly unique: readonly Fix[];
  /** Per key in reading order. */
  readonly duplicates: readonly DuplicateKey[];
}

/** Sorts fixes by key and separates the first fix of each key from the later ones. */
export function sortByKey(fixes: readonly Fix[]): FixesByKey {
  const sorted = fixes.toSorted(
    (a, b) =>
      compareCodeUnits(a.position.deviceId, b.position.deviceId) || a.position.fixAtMs - b.position.fixAtMs,
  );
  const unique: Fix[] = [];
  const duplicates: DuplicateKey[] = [];
  let first: Fix | undefined;
  for (const fix of sorted) {
    const { deviceId, fixAtMs } = fix.position;
    if (first?.position.deviceId === deviceId && first.position.fixAtMs === fixAtMs) {
      duplicates.push({ fix, first });
    } else {
      unique.push(fix);
      first = fix;
    }
  }
  return { unique, duplicates };
}

// Any order prevents deadlocks as long as all writers use the same one.
function compareCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether all columns that Postgres would compare are equal; attributes must be the same string. */
export function isExactDuplicate({ fix: { position }, first }: DuplicateKey): boolean {
  return (
    position.latitude === first.position.latitude &&
    position.longitude === first.position.longitude &&
    position.altitudeM === first.position.altitudeM &&
    position.speedKmh === first.position.speedKmh &&
    position.courseDeg === first.position.courseDeg &&
    position.satellites === first.position.satellites &&
    position.priority === first.position.priority &&
    position.attributesJson === first.position.attributesJson
  );
}
