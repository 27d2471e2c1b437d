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

/** Handles `update`: devices that become visible are sent, the others hidden. */
export function update(client: Client, message: UpdateMessage, context: UpdateContext): void {
  const { id, topic, maxHz, bbox } = message;
  const entry = client.subscriptions.get(topic);
  if (entry === undefined) {
    client.reply(errorReply(id, 'not-subscribed', 'not subscribed to this topic'));
    return;
  }
  client.reply(encodeReply({ type: 'updated', topic, ...(id !== undefined && { id }) }));
  const { subscription } = entry;
  if (subscription === undefined) {
    // Still being authorised: it will be registered with this view.
    if (maxHz !== undefined) entry.view.maxHz = maxHz;
    if (bbox !== undefined) entry.view.bbox = bbox ?? undefined;
    return;
  }
  changeView(subscription, { maxHz, bbox }, context);
}

/** Changes the rate or the box; undefined keeps the value, and null removes the box. */
export function changeView(
  subscription: Subscription,
  { maxHz, bbox }: Pick<UpdateMessage, 'maxHz' | 'bbox'>,
  context: UpdateContext,
): void {
  context.registry.change(subscription, (audience) => {
    if (maxHz !== undefined) subscription.rateClass = rateClassFor(maxHz, context.tickMs);
    if (bbox !== undefined) {
      subscription.bbox = bbox ?? undefined;
      recomputeVisible(subscription, audience, context);
    }
  });
}

/** Makes the devices pending whose visibility differs between the old box and the new one. */
function recomputeVisible(subscription: Subscription, audience: Audience, context: UpdateContext): void {
  const { bbox, shown: shownBefore } = subscription;
  const { devices } = audience;
  const pending = (subscription.pending ??= new DeviceSet());
  const shown = new DeviceSet();
  const nowMs = context.nowMs();
  for (const index of devices.indexes()) {
    const fix = devices.at(index)?.held.fix;
    // Without a box the client may show every device.
    const wasShown = shownBefore?.has(index) ?? true;
    if (wasShown) shown.add(index);
    const isVisible =
      fix !== undefined &&
      context.latest.isShown(fix, nowMs) &&
      (bbox === undefined || isInside(bbox, fix.latitude, fix.longitude));
    if (isVisible !== wasShown) pending.add(index);
  }
  subscription.shown = bbox === undefined ? undefined : shown;
  if (subscription.dialect === 'batched') subscription.needsCursor = true;
}
