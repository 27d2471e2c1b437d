import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';
import { visibleFix } from './visible-fix.ts';

export interface PendingRows {
  readonly indexes: number[];
  readonly rows: string[];
  /** Not all pending devices fitted. */
  isTruncated: boolean;
}

/**
 * Selects as many of the pending devices as fit. Each fix is read now, so a client that lagged gets the newest position.
 * Continues after the last device selected before, so that no device starves however far the client lags. Devices
 * without a visible fix are dropped from the pending set.
 *
 * @param options.encode returns ASCII; one byte is added per row for the separator.
 */
export function selectPending(
  subscription: Subscription,
  devices: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
  options: {
    readonly maxBytes: number;
    readonly encode: (indexed: IndexedDevice, fix: LatestFix) => string;
  },
): PendingRows {
  const { pending } = subscription;
  const selected: PendingRows = { indexes: [], rows: [], isTruncated: false };
  if (pending === undefined || pending.size === 0) return selected;
  let bytes = 0;
  let left = pending.size;
  let index = pending.next(subscription.nextIndex);
  while (left > 0) {
    if (index < 0) index = pending.next(0);
    const indexed = devices.at(index);
    const fix = visibleFix(subscription, indexed, latest, nowMs);
    if (indexed === undefined || fix === undefined) {
      pending.delete(index);
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
    index = pending.next(index + 1);
  }
  subscription.nextIndex = (selected.indexes.at(-1) ?? -1) + 1;
  return selected;
}
