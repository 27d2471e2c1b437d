import type { ClientMessage } from '@app/shared/messages';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { Audience } from '../fanout/audience.ts';
import { isInside } from '../fanout/bbox.ts';
import type { Client } from '../connection/client.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import { rateClassFor } from '../fanout/rate-class.ts';
import type { SubscriptionRegistry } from './subscription-registry.ts';
import { encodeReply, errorReply } from '../protocol/replies.ts';
import type { Subscription } from './subscription.ts';

type UpdateMessage = Extract<ClientMessage, { type: 'update' }>;

interface UpdateContext {
  readonly registry: SubscriptionRegistry;
  readonly latest: LatestFixes;
  readonly tickMs: number;
  readonly nowMs: () => number;
}

/** Changes the rate or the box of a subscription. What becomes visible is owed, what is not any more is hidden. */
export function update(client: Client, message: UpdateMessage, context: UpdateContext): void {
  const { id, topic, maxHz, bbox } = message;
  const slot = client.subscriptions.get(topic);
  if (slot === undefined) {
    client.reply(errorReply(id, 'not-subscribed', 'not subscribed to this topic'));
    return;
  }
  client.reply(encodeReply({ type: 'updated', topic, ...(id !== undefined && { id }) }));
  const { subscription } = slot;
  if (subscription === undefined) {
    // Still being authorised: it will be registered as it is wanted by then.
    if (maxHz !== undefined) slot.view.maxHz = maxHz;
    if (bbox !== undefined) slot.view.bbox = bbox ?? undefined;
    return;
  }
  changeView(subscription, { maxHz, bbox }, context);
}

/** Gives a subscription another rate or box; undefined leaves what is, a box of null shows all. */
export function changeView(
  subscription: Subscription,
  { maxHz, bbox }: Pick<UpdateMessage, 'maxHz' | 'bbox'>,
  context: UpdateContext,
): void {
  context.registry.change(subscription, (audience) => {
    if (maxHz !== undefined) subscription.rateClass = rateClassFor(maxHz, context.tickMs);
    if (bbox !== undefined) {
      subscription.bbox = bbox ?? undefined;
      settleView(subscription, audience, context);
    }
  });
}

/** Owes the client what the new box shows and the old one did not, and the other way round. */
function settleView(subscription: Subscription, audience: Audience, context: UpdateContext): void {
  const { bbox, shown: shownBefore } = subscription;
  const { devices: roster } = audience;
  const owed = (subscription.pending ??= new DeviceSet());
  const shown = new DeviceSet();
  const nowMs = context.nowMs();
  for (const at of roster.indexes()) {
    const fix = roster.at(at)?.held.fix;
    // Without a box everything that was written is on the client's map, and what is owed is perhaps.
    const wasShown = shownBefore?.has(at) ?? true;
    if (wasShown) shown.add(at);
    const isVisible =
      fix !== undefined &&
      context.latest.isShown(fix, nowMs) &&
      (bbox === undefined || isInside(bbox, fix.latitude, fix.longitude));
    if (isVisible !== wasShown) owed.add(at);
  }
  subscription.shown = bbox === undefined ? undefined : shown;
  if (subscription.dialect === 'batched') subscription.needsCursor = true;
}
