import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';
import { visibleFix } from './visible-fix.ts';

export interface UnsentRows {
  readonly indexes: number[];
  readonly rows: string[];
  /** Not all unsent devices fitted. */
  isTruncated: boolean;
}

/**
 * Selects as many of the unsent devices as fit. Each fix is read now, so a client that lagged gets the newest position.
 * Continues after the last device selected before, so that no device starves however far the client lags. Devices
 * without a visible fix are dropped from the unsent set.
 *
 * @param options.encode returns ASCII; one byte is added per row for the separator.
 */
export function selectUnsent(
  subscription: Subscription,
  devices: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
  options: {
    readonly maxBytes: number;
    readonly encode: (indexed: IndexedDevice, fix: LatestFix) => string;
  },
): UnsentRows {
  const { unsent } = subscription;
  const selected: UnsentRows = { indexes: [], rows: [], isTruncated: false };
  if (unsent === undefined || unsent.size === 0) return selected;
  let bytes = 0;
  let left = unsent.size;
  let index = unsent.next(subscription.nextIndex);
  while (left > 0) {
    if (index < 0) index = unsent.next(0);
    const indexed = devices.at(index);
    const fix = visibleFix(subscription, indexed, latest, nowMs);
    if (indexed === undefined || fix === undefined) {
      unsent.delete(index);
      subscription.shown?.delete(index);
    } else {
      const row = options.encode(indexed, fix);
      bytes += row.length + 1;
      if (bytes > options.maxBytes && selected.indexes.length > 0) {
        selected.isTruncated = true;
        break;
      }
      selected.indexes.push(index);
      selected.rows.push(row);
    }
    left -= 1;
    index = unsent.next(index + 1);
  }
  subscription.nextIndex = (selected.indexes.at(-1) ?? -1) + 1;
  return selected;
}
