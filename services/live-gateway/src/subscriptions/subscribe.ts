import { closeReasons } from '../connection/close-reasons.ts';
import type { ClientMessage } from '@app/shared/messages';
import { parseTopic } from '@app/shared/topics';
import type { Authorize } from '../access/authorize.ts';
import type { Client } from '../connection/client.ts';
import { registerSubscription } from './register-subscription.ts';
import type { RegisterContext } from './register-subscription.ts';
import { errorReply } from '../protocol/replies.ts';
import { isAheadAfter } from './resume.ts';

export interface SubscribeContext extends RegisterContext {
  readonly authorize: Authorize;
}

type SubscribeMessage = Extract<ClientMessage, { type: 'subscribe' }>;

const defaultRetryAfterMs = 5_000;
/** A replica that is behind the one that wrote a cursor has so long to catch up. */
const catchUpLimitMs = 2_000;
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
  const slot = client.subscriptions.take(topic, id, { maxHz: message.maxHz, bbox: message.bbox });
  if (typeof slot === 'string') {
    client.reply(errorReply(id, slot, slot === 'already-subscribed' ? 'already subscribed' : tooMany));
    return;
  }
  const permission = await context.authorize(client.viewer, eventId);
  // An `unsubscribe` or a close came in between: it wins, and has answered.
  if (!client.subscriptions.holds(slot)) return;
  switch (permission.kind) {
    case 'allowed': {
      const { cursor, epoch } = message;
      const resumeFrom = cursor === undefined || epoch === undefined ? undefined : { cursor, epoch };
      if (resumeFrom !== undefined && (await isAheadAfter(resumeFrom, context.timeline, catchUpLimitMs))) {
        if (!client.subscriptions.holds(slot)) return;
        // Never a snapshot that is older than what the client holds.
        context.onResume('ahead');
        client.subscriptions.release(topic);
        client.reply(errorReply(id, 'unavailable', 'this server has still to catch up', catchUpLimitMs));
        return;
      }
      if (!client.subscriptions.holds(slot)) return;
      slot.pendingReplyTo = undefined;
      const { dialect, connection } = client;
      const wish = { eventId, topic, id, dialect, ...slot.view, resumeFrom, recipient: connection };
      const subscription = registerSubscription(wish, context);
      // Writing the snapshot may have closed the connection, before there was anything to unregister.
      if (client.subscriptions.holds(slot)) slot.subscription = subscription;
      else context.registry.unregister(subscription);
      return;
    }
    case 'session-ended':
      client.connection.end(closeReasons.sessionInvalid);
      return;
    case 'forbidden':
      client.subscriptions.release(topic);
      client.reply(errorReply(id, 'forbidden', 'no permission for this event, or it does not exist'));
      return;
    case 'unavailable': {
      client.subscriptions.release(topic);
      const retryAfterMs = permission.retryAfterMs ?? defaultRetryAfterMs;
      client.reply(errorReply(id, 'unavailable', 'the permission cannot be checked now', retryAfterMs));
    }
  }
}
