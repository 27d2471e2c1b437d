import { closeCode, maxSnapshotFrameBytes } from '@app/shared/protocol';
import type { ClientMessage } from '@app/shared/messages';
import { parseTopic } from '@app/shared/topics';
import type { Authorize } from '../access/authorize.ts';
import { encodePlainSubscribed } from './plain-dialect.ts';
import { rateClassFor } from './rate-class.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { Client } from './client.ts';
import type { Registry } from './registry.ts';
import { errorReply } from './replies.ts';
import type { Slot } from './slots.ts';
import type { Subscription } from './subscription.ts';

export interface SubscribeContext {
  readonly authorize: Authorize;
  readonly registry: Registry;
  readonly latest: LatestFixes;
  readonly tickMs: number;
  readonly nowMs: () => number;
  readonly onSnapshot: (devices: number) => void;
}

type SubscribeMessage = Extract<ClientMessage, { type: 'subscribe' }>;

const defaultRetryAfterMs = 5_000;
const tooMany = 'too many subscriptions on this connection';

/** Takes the topic's slot, asks whether the client may see the event, and registers it if it still wants to. */
export async function subscribe(
  client: Client,
  message: SubscribeMessage,
  context: SubscribeContext,
): Promise<void> {
  const { id, topic } = message;
  const eventId = parseTopic(topic)?.eventId;
  if (eventId === undefined) {
    client.reply(errorReply(id, 'unknown-topic', 'there is no such topic'));
    return;
  }
  const slot = client.slots.take(topic, id);
  if (typeof slot === 'string') {
    client.reply(errorReply(id, slot, slot === 'already-subscribed' ? 'already subscribed' : tooMany));
    return;
  }
  const permission = await context.authorize(client.viewer, eventId);
  // An `unsubscribe` or a close came in between: it wins, and has answered.
  if (!client.slots.holds(slot)) return;
  switch (permission.kind) {
    case 'allowed':
      register(client, slot, { eventId, maxHz: message.maxHz }, context);
      return;
    case 'session-ended':
      client.connection.end(closeCode.sessionInvalid, 'the session is no longer valid');
      return;
    case 'forbidden':
      client.slots.release(topic);
      client.reply(errorReply(id, 'forbidden', 'no permission for this event, or it does not exist'));
      return;
    case 'unavailable': {
      client.slots.release(topic);
      const retryAfterMs = permission.retryAfterMs ?? defaultRetryAfterMs;
      client.reply(errorReply(id, 'unavailable', 'the permission cannot be checked now', retryAfterMs));
    }
  }
}

/** One synchronous block: what the stream brings before it is in the snapshot, what comes after is marked for the client. */
function register(
  client: Client,
  slot: Slot,
  wish: { readonly eventId: string; readonly maxHz: number | undefined },
  context: SubscribeContext,
): void {
  const { registry, latest } = context;
  const { eventId } = wish;
  const { topic } = slot;
  const subscription: Subscription = {
    eventId,
    topic,
    rateClass: rateClassFor(wish.maxHz, context.tickMs),
    recipient: client.connection,
  };
  slot.subscription = subscription;
  const id = slot.owedReplyTo?.id;
  slot.owedReplyTo = undefined;
  registry.register(subscription, (imeis) => {
    const nowMs = context.nowMs();
    const owed = new Set(imeis);
    const fixes = [...owed].flatMap((imei) => latest.shown(imei, nowMs) ?? []);
    const snapshot = encodePlainSubscribed({
      topic,
      id,
      fixes,
      isDegraded: isDegraded(eventId, registry, latest),
      maxBytes: maxSnapshotFrameBytes,
    });
    client.reply(snapshot.frame);
    context.onSnapshot(snapshot.written.length);
    // A device without a position is told with the snapshot too: there is nothing to say about it.
    for (const fix of fixes.slice(snapshot.written.length)) owed.delete(fix.deviceId);
    return owed;
  });
}

/** Whether an older fix may lie in Postgres that the stream has not brought: it comes as soon as the database answers. */
function isDegraded(eventId: string, registry: Registry, latest: LatestFixes): boolean {
  if (!registry.hasAssignments) return true;
  for (const imei of registry.devicesOf(eventId).keys()) if (!latest.isHydrated(imei)) return true;
  return false;
}
