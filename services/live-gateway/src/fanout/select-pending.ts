import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import { isInside } from './bbox.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';
import type { Subscription } from '../subscriptions/subscription.ts';

/** What of the owed is to be written next. */
export interface PendingRows {
  readonly seats: number[];
  readonly texts: string[];
  /** More is owed than found room. */
  isCut: boolean;
}

/** The position of a device that the subscription's client may see now. */
export function visibleFix(
  subscription: Subscription,
  seat: IndexedDevice | undefined,
  latest: LatestFixes,
  nowMs: number,
): LatestFix | undefined {
  const fix = seat?.held.fix;
  if (fix === undefined || !latest.isShown(fix, nowMs)) return undefined;
  const { bbox } = subscription;
  return bbox === undefined || isInside(bbox, fix.latitude, fix.longitude) ? fix : undefined;
}

/**
 * Chooses from what is owed as much as fits, each position read now: a client that was behind gets the newest, not those
 * it missed. Goes on after the device that was chosen last, so that each gets its turn however far behind the client is.
 * What there is nothing to tell about is settled on the way.
 *
 * @param encode gives the text of a position; a character is a byte, and one more separates two.
 */
export function selectPending(
  subscription: Subscription,
  roster: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
  options: { readonly maxBytes: number; readonly encode: (seat: IndexedDevice, fix: LatestFix) => string },
): PendingRows {
  const { pending: owed } = subscription;
  const pick: PendingRows = { seats: [], texts: [], isCut: false };
  if (owed === undefined || owed.size === 0) return pick;
  let bytes = 0;
  let left = owed.size;
  let at = owed.next(subscription.nextIndex);
  while (left > 0) {
    if (at < 0) at = owed.next(0);
    const seat = roster.at(at);
    const fix = visibleFix(subscription, seat, latest, nowMs);
    if (seat === undefined || fix === undefined) {
      owed.delete(at);
      subscription.shown?.delete(at);
    } else {
      const text = options.encode(seat, fix);
      bytes += text.length + 1;
      if (bytes > options.maxBytes && pick.seats.length > 0) {
        pick.isCut = true;
        break;
      }
      pick.seats.push(at);
      pick.texts.push(text);
    }
    left -= 1;
    at = owed.next(at + 1);
  }
  subscription.nextIndex = (pick.seats.at(-1) ?? -1) + 1;
  return pick;
}
