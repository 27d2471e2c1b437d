import type { Client } from '../connection/client.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import { encodeReply } from './replies.ts';

/**
 * The reply for a client that was sent nothing for a while. Contains a cursor if the client's only subscription is live:
 * while nothing moves, the cursor it was sent last becomes too old to resume from.
 */
export function heartbeatReply(client: Client, registry: SubscriptionRegistry, nowMs: number): string {
  const cursor = currentCursor(client, registry);
  return encodeReply({ type: 'heartbeat', time: nowMs, ...(cursor !== undefined && { cursor }) });
}

function currentCursor(
  { subscriptions: entries }: Client,
  registry: SubscriptionRegistry,
): string | undefined {
  const [entry] = entries.all();
  const subscription = entry?.subscription;
  if (entries.size !== 1 || subscription?.dialect !== 'batched') return undefined;
  const audience = registry.audienceOf(subscription.eventId, subscription.topic);
  const group = audience.groupOf(subscription);
  if (group?.isLive(subscription) !== true || group.isDelivering) return undefined;
  if (subscription.controlSeq !== audience.controlSeq) return undefined;
  group.advanceIfUnchanged(registry.streamOffset);
  return audience.cursorAt(group.coveredOffset, subscription.bboxHash);
}
