import type { ClientMessage } from '@app/shared/messages';
import { parseTopic } from '@app/shared/topics';
import type { Authorize, Permission } from '../access/authorize.ts';
import type { Client } from '../connection/client.ts';
import { closeReasons } from '../connection/close-reasons.ts';
import { errorReply } from '../protocol/replies.ts';
import { registerSubscription } from './register-subscription.ts';
import type { RegisterContext } from './register-subscription.ts';
import { isAheadAfter } from './resume.ts';

export interface SubscribeContext extends RegisterContext {
  readonly authorize: Authorize;
}

type SubscribeMessage = Extract<ClientMessage, { type: 'subscribe' }>;

const defaultRetryAfterMs = 5_000;
/** How long a replica that is behind the one that wrote a cursor may take to catch up. */
const catchUpLimitMs = 2_000;
const entryErrors = {
  'already-subscribed': 'already subscribed',
  'too-many-subscriptions': 'too many subscriptions on this connection',
};

/**
 * The life of a subscription begins here: takes an entry for the topic, authorises the viewer for the event, waits until
 * this replica has reached the client's cursor, then registers it, with a resume or a snapshot. From then on the
 * fan-out serves it (`fan-out.ts`), the reauthorizer checks it, and `update`, `unsubscribe` or a close end it.
 */
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
  const entry = client.subscriptions.take(topic, id, { maxHz: message.maxHz, bbox: message.bbox });
  if (typeof entry === 'string') {
    client.reply(errorReply(id, entry, entryErrors[entry]));
    return;
  }
  const permission = await context.authorize(client.viewer, eventId);
  // An `unsubscribe` or a close came meanwhile; it has been replied to.
  if (entry.isReleased) return;
  if (permission.kind !== 'allowed') {
    refuse(client, message, permission);
    return;
  }
  const { cursor, epoch } = message;
  const resumeFrom = cursor === undefined || epoch === undefined ? undefined : { cursor, epoch };
  const isBehind =
    resumeFrom !== undefined && (await isAheadAfter(resumeFrom, context.timeline, catchUpLimitMs));
  if (entry.isReleased) return;
  if (isBehind) {
    // A snapshot would be older than what the client holds.
    context.onResume('ahead');
    client.subscriptions.release(topic);
    client.reply(errorReply(id, 'unavailable', 'this server has still to catch up', catchUpLimitMs));
    return;
  }
  entry.pendingReplyTo = undefined;
  const { dialect, connection } = client;
  const request = { eventId, topic, id, dialect, ...entry.view, resumeFrom, recipient: connection };
  const subscription = registerSubscription(request, context);
  // Writing the reply may have closed the connection and released the entry before there was a subscription in it.
  if (entry.isReleased) context.registry.unregister(subscription);
  else entry.subscription = subscription;
}

function refuse(
  client: Client,
  { id, topic }: SubscribeMessage,
  permission: Exclude<Permission, { kind: 'allowed' }>,
): void {
  if (permission.kind === 'session-ended') {
    client.connection.end(closeReasons.sessionInvalid);
    return;
  }
  client.subscriptions.release(topic);
  if (permission.kind === 'forbidden') {
    client.reply(errorReply(id, 'forbidden', 'no permission for this event, or it does not exist'));
    return;
  }
  const retryAfterMs = permission.retryAfterMs ?? defaultRetryAfterMs;
  client.reply(errorReply(id, 'unavailable', 'the permission cannot be checked now', retryAfterMs));
}
