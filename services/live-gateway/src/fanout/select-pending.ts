import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { isInside } from './bbox.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';

/** Pending devices with their encoded positions. */
export interface PendingRows {
  readonly indexes: number[];
  readonly rows: string[];
  /** Whether more devices are pending than fitted. */
  isCut: boolean;
}

/** The position of a device, if the subscription may show it now. */
export function visibleFix(
  { bbox }: Subscription,
  indexed: IndexedDevice | undefined,
  latest: LatestFixes,
  nowMs: number,
): LatestFix | undefined {
  const fix = indexed?.held.fix;
  if (fix === undefined || !latest.isShown(fix, nowMs)) return undefined;
  return bbox === undefined || isInside(bbox, fix.latitude, fix.longitude) ? fix : undefined;
}

/**
 * Selects as many pending devices as fit and encodes their positions as of now: a client that lagged gets the newest, not
 * the missed ones. Continues after the device selected last, so that every device is sent however far the client lags.
 * Devices without a visible position stop being pending.
 *
 * @param options.encode encodes a position in ASCII; one more byte separates two.
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
  const selected: PendingRows = { indexes: [], rows: [], isCut: false };
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
        selected.isCut = true;
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
