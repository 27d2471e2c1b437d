import type { Client } from '../connection/client.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import { encodeReply } from './replies.ts';

/**
 * What a client is told that has heard nothing for a while. With the cursor of its subscription, if it has but one and
 * that is told everything: where nothing moves, the last cursor that it was sent gets too old to resume from.
 */
export function heartbeatReply(client: Client, registry: SubscriptionRegistry, nowMs: number): string {
  const cursor = currentCursor(client, registry);
  return encodeReply({ type: 'heartbeat', time: nowMs, ...(cursor !== undefined && { cursor }) });
}

function currentCursor({ subscriptions: slots }: Client, registry: SubscriptionRegistry): string | undefined {
  const [slot] = slots.all();
  const subscription = slot?.subscription;
  if (slots.size !== 1 || subscription?.dialect !== 'batched') return undefined;
  const audience = registry.audienceOf(subscription.eventId, subscription.topic);
  const group = audience.groupOf(subscription);
  if (group?.isLive(subscription) !== true || group.isDelivering) return undefined;
  if (subscription.controlSeq !== audience.controlSeq) return undefined;
  group.advanceIfUnchanged(registry.streamOffset);
  return audience.cursorAt(group.coveredOffset, subscription.bboxHash);
}
