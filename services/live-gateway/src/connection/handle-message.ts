import type { ClientMessage } from '@app/shared/messages';
import { parseClientMessage } from '@app/shared/parse-client-message';
import { errorReply, pongReply, unsubscribedReply } from '../protocol/replies.ts';
import { reauthenticate } from '../subscriptions/reauthenticate.ts';
import type { ReauthenticateContext } from '../subscriptions/reauthenticate.ts';
import { subscribe } from '../subscriptions/subscribe.ts';
import type { SubscribeContext } from '../subscriptions/subscribe.ts';
import { update } from '../subscriptions/update.ts';
import type { RunClock } from '../run-clock.ts';
import type { Client } from './client.ts';
import { closeReasons } from './close-reasons.ts';

type UnsubscribeMessage = Extract<ClientMessage, { type: 'unsubscribe' }>;

export interface MessageContext extends SubscribeContext, ReauthenticateContext {
  readonly clock: Pick<RunClock, 'nowMs' | 'stoppedMs'>;
  /** Called once per message with its type, or with the code of the error that answers it. */
  readonly onReceived: (type: string) => void;
}

/**
 * Handles one text frame of a client. Every frame gets a reply, invalid ones an `error`, unless the connection is
 * closed.
 *
 * Every frame costs a token, invalid ones included. Without a token the frame is parsed for its id only and answered
 * `rate-limited`; a client that keeps sending is disconnected.
 */
export async function handleMessage(client: Client, frame: string, context: MessageContext): Promise<void> {
  const hasToken = client.messages.take(context.clock.nowMs(), context.clock.stoppedMs);
  if (!hasToken && client.messages.isAbused) {
    context.onReceived('rate-limited');
    client.connection.end(closeReasons.tooManyMessages);
    return;
  }
  const message = parseClientMessage(frame);
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
      break;
    case 'subscribe':
      await subscribe(client, message, context);
      break;
    case 'unsubscribe':
      unsubscribe(client, message);
      break;
    case 'update':
      update(client, message, context);
      break;
    case 'reauthenticate':
      await reauthenticate(client, message, context);
  }
}

function unsubscribe(client: Client, { id, topic }: UnsubscribeMessage): void {
  const entry = client.subscriptions.release(topic);
  if (entry === undefined) {
    client.reply(errorReply(id, 'not-subscribed', 'not subscribed to this topic'));
    return;
  }
  entry.registration?.unregister();
  // A `subscribe` that is still being authorised also gets its one reply.
  if (entry.pendingReplyTo !== undefined) client.reply(unsubscribedReply(entry.pendingReplyTo.id, topic));
  client.reply(unsubscribedReply(id, topic));
}
