import { compareEntryIds } from '@app/shared/entry';
import type { DeviceIndex } from '../fanout/device-index.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import type { EntryRef } from '../latest/latest-fixes.ts';

export interface MissedDevices {
  readonly unsent: DeviceSet;
  /** `devices.id` of devices whose position at the client may be invalid: the client must drop it first. */
  readonly invalidIds: readonly string[];
}

/**
 * The devices that have changed since a cursor. Compares the latest fixes with the cursor, so the cost does not depend
 * on the number of entries since.
 *
 * A fix from Postgres counts as changed after every cursor until its stream entry has been read. A client may have an
 * invalid position of a device that has no fix, or whose fix is not newer than one that was marked faulty.
 */
export function missedSince(appliedIds: readonly string[], devices: DeviceIndex): MissedDevices {
  const unsent = new DeviceSet();
  const invalidIds: string[] = [];
  const isAfter = (entryRef: EntryRef): boolean =>
    compareEntryIds(entryRef.id, appliedIds[entryRef.stream] ?? '0-0') > 0;
  for (const index of devices.indexes()) {
    const indexed = devices.at(index);
    if (indexed === undefined) continue;
    const { fix, faultyFixAtMs } = indexed.held;
    const isInvalid =
      fix?.entryRef === undefined || (faultyFixAtMs !== undefined && fix.fixAtMs <= faultyFixAtMs);
    if (isInvalid) invalidIds.push(indexed.device.id);
    if (isInvalid || isAfter(fix.entryRef)) unsent.add(index);
  }
  return { unsent, invalidIds };
}
