import { closeReasons } from './close-reasons.ts';
import { parseClientMessage } from '@app/shared/parse-client-message';
import type { Client } from './client.ts';
import { errorReply, pongReply, unsubscribedReply } from '../protocol/replies.ts';
import { subscribe } from '../subscriptions/subscribe.ts';
import type { SubscribeContext } from '../subscriptions/subscribe.ts';
import { update } from '../subscriptions/update.ts';

export interface MessageContext extends SubscribeContext {
  /** Once per message: its type, or what was wrong with it. */
  readonly onReceived: (type: string) => void;
}

/**
 * Answers one text frame of a client. Each is answered, if only with what is wrong with it; none makes this throw.
 *
 * Every frame costs a token, a bad one too. Without a token it is still read, for its id, and answered
 * `rate-limited`; who goes on regardless is closed.
 */
export async function handleMessage(client: Client, text: string, context: MessageContext): Promise<void> {
  const hasToken = client.messages.take(context.nowMs());
  if (!hasToken && client.messages.isAbused) {
    context.onReceived('rate-limited');
    client.connection.end(closeReasons.tooManyMessages);
    return;
  }
  const message = parseClientMessage(text);
  if (!hasToken) {
    context.onReceived('rate-limited');
    const { retryAfterMs } = client.messages;
    client.reply(errorReply(message.id, 'rate-limited', 'too many messages', retryAfterMs));
    return;
  }
  if ('code' in message) {
    context.onReceived(message.code);
    client.reply(errorReply(message.id, message.code, message.message));
    return;
  }
  context.onReceived(message.type);
  switch (message.type) {
    case 'ping':
      client.reply(pongReply(message.id));
      return;
    case 'subscribe':
      await subscribe(client, message, context);
      return;
    case 'unsubscribe': {
      const slot = client.subscriptions.release(message.topic);
      if (slot === undefined) {
        client.reply(errorReply(message.id, 'not-subscribed', 'not subscribed to this topic'));
        return;
      }
      if (slot.subscription !== undefined) context.registry.unregister(slot.subscription);
      // The `subscribe` that is still being authorised gets its one reply too: how its wish has ended.
      if (slot.pendingReplyTo !== undefined)
        client.reply(unsubscribedReply(slot.pendingReplyTo.id, slot.topic));
      client.reply(unsubscribedReply(message.id, slot.topic));
      return;
    }
    case 'update':
      update(client, message, context);
  }
}
