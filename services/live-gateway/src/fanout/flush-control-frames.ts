import type { Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import type { RateGroup } from './rate-group.ts';

/**
 * Writes the control frames that the subscription has not been sent yet. If some of them are no longer kept, it starts
 * a new snapshot instead.
 *
 * @returns false if the connection is no longer writable.
 */
export function flushControlFrames(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
): boolean {
  if (subscription.controlSeq === audience.controlSeq) return true;
  const missed = audience.controlFramesAfter(subscription.controlSeq);
  if (missed === undefined) {
    audience.resyncOne(group, subscription);
    return true;
  }
  for (const { seq, frames } of missed) {
    if (subscription.recipient.writeFrames(frames) < frames.length) return false;
    subscription.controlSeq = seq;
    // The client's cursors are of the devices before the change.
    subscription.needsCursor = true;
  }
  return true;
}
