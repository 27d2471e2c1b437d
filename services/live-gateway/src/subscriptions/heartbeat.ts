import type { Client } from '../connection/client.ts';
import { encodeReply } from '../protocol/replies.ts';
import type { SubscriptionRegistry } from './subscription-registry.ts';

/**
 * Sent to a client that was sent nothing else for the heartbeat interval. A client with one subscription that is up to
 * date also gets a new cursor: where no device moves, its last cursor would become too old to resume from.
 */
export function heartbeatReply(client: Client, registry: SubscriptionRegistry, nowMs: number): string {
  const cursor = currentCursor(client, registry);
  return encodeReply({ type: 'heartbeat', time: nowMs, ...(cursor !== undefined && { cursor }) });
}

function currentCursor({ subscriptions }: Client, registry: SubscriptionRegistry): string | undefined {
  const [entry] = subscriptions.all();
  const subscription = entry?.subscription;
  if (subscriptions.size !== 1 || subscription?.dialect !== 'batched') return undefined;
  const audience = registry.audienceOf(subscription.eventId, subscription.topic);
  const group = audience.groupOf(subscription);
  if (group?.isLive(subscription) !== true || group.isDelivering) return undefined;
  if (subscription.controlSeq !== audience.controlSeq) return undefined;
  group.advanceIfUnchanged(registry.streamOffset);
  return audience.cursorAt(group.coveredOffset, subscription.bboxHash);
}
