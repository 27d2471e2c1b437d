import type { ClientMessage } from '@app/shared/messages';
import type { Client } from '../connection/client.ts';
import type { DeviceIndex } from '../fanout/device-index.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import { rateClassFor } from '../fanout/rate-class.ts';
import { visibleFix } from '../fanout/visible-fix.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { encodeReply, errorReply } from '../protocol/replies.ts';
import type { SubscriptionRegistry } from './subscription-registry.ts';
import type { Subscription } from './subscription.ts';

type UpdateMessage = Extract<ClientMessage, { type: 'update' }>;

interface UpdateContext {
  readonly registry: SubscriptionRegistry;
  readonly latest: LatestFixes;
  readonly tickMs: number;
  readonly nowMs: () => number;
}

/** Handles `update`: changes the rate or the box of a subscription. */
export function update(client: Client, message: UpdateMessage, context: UpdateContext): void {
  const { id, topic, maxHz, bbox } = message;
  const entry = client.subscriptions.get(topic);
  if (entry === undefined) {
    client.reply(errorReply(id, 'not-subscribed', 'not subscribed to this topic'));
    return;
  }
  client.reply(encodeReply({ type: 'updated', topic, id }));
  const { subscription, view } = entry;
  if (subscription !== undefined) {
    changeView(subscription, { maxHz, bbox }, context);
    return;
  }
  // Still being authorised: `subscribe` registers it with the changed view.
  if (maxHz !== undefined) view.maxHz = maxHz;
  if (bbox !== undefined) view.bbox = bbox ?? undefined;
}

/** Changes the rate or the box of a registered subscription; undefined keeps it, a null box removes the box. */
export function changeView(
  subscription: Subscription,
  { maxHz, bbox }: Pick<UpdateMessage, 'maxHz' | 'bbox'>,
  context: UpdateContext,
): void {
  context.registry.change(subscription, ({ devices }) => {
    if (maxHz !== undefined) subscription.rateClass = rateClassFor(maxHz, context.tickMs);
    if (bbox === undefined) return;
    subscription.bbox = bbox ?? undefined;
    markVisibilityChanges(subscription, devices, context);
  });
}

/** Marks the devices as unsent that the new box shows and the old one did not, or the other way round. */
function markVisibilityChanges(
  subscription: Subscription,
  devices: DeviceIndex,
  { latest, nowMs: now }: UpdateContext,
): void {
  const { shown: shownBefore } = subscription;
  const unsent = (subscription.unsent ??= new DeviceSet());
  const shown = new DeviceSet();
  const nowMs = now();
  for (const index of devices.indexes()) {
    // Without a box the client shows every device, and perhaps those that are unsent.
    const wasShown = shownBefore?.has(index) ?? true;
    if (wasShown) shown.add(index);
    const isVisible = visibleFix(subscription, devices.at(index), latest, nowMs) !== undefined;
    if (isVisible !== wasShown) unsent.add(index);
  }
  subscription.shown = subscription.bbox === undefined ? undefined : shown;
  if (subscription.dialect === 'batched') subscription.needsCursor = true;
}
