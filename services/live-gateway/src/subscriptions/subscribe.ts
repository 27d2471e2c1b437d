import type { ClientMessage } from '@app/shared/messages';
import { parseTopic } from '@app/shared/topics';
import type { Topic } from '@app/shared/topics';
import type { AuthorizeTopic, TopicPermission } from '../access/authorize-topic.ts';
import type { Client } from '../connection/client.ts';
import { errorReply } from '../protocol/replies.ts';
import { catchUpLimitMs, waitForCatchUp } from './wait-for-catch-up.ts';
import { refusePermission } from './refuse-permission.ts';
import { registerSubscription } from './register-subscription.ts';
import type { RegisterContext } from './subscribe-request.ts';
import { subscribeToResults } from './subscribe-to-results.ts';
import type { ResultsContext } from './subscribe-to-results.ts';
import type { SubscriptionEntry } from './subscription-entries.ts';

export interface SubscribeContext extends RegisterContext, ResultsContext {
  readonly authorize: AuthorizeTopic;
  /** Does not advance while the process does not run. */
  readonly clock: { nowMs(): number };
}

type SubscribeMessage = Extract<ClientMessage, { type: 'subscribe' }>;

/**
 * Handles `subscribe`: the stages of a subscription from its request until it is live. Those of positions; results differ
 * from stage 3 on, see `subscribe-to-results.ts`.
 *
 * 0. `server/handle-upgrade.ts` has upgraded the connection and `server/admit.ts` has admitted its user.
 * 1. Reserve the topic on this connection (`subscription-entries.ts`).
 * 2. Authorise the user for the event (`access/authorize.ts`, `refuse-permission.ts`).
 * 3. If the client resumes from a cursor ahead of this gateway, wait until the gateway has caught up
 *    (`wait-for-catch-up.ts`).
 * 4. Reply with a resume or a snapshot, and register (`register-subscription.ts`). From then on the fan-out writes to
 *    the subscription: first what is unsent for it, then, once it has caught up, the shared frames of its group.
 *
 * It ends when its entry is released: by `unsubscribe` (`connection/handle-message.ts`), a withdrawn permission
 * (`reauthorizer.ts`), or the end of the connection (`connection/accept-client.ts`). That may happen during each wait,
 * and whoever released the entry has answered the client: then `subscribe` returns without a reply.
 */
export async function subscribe(
  client: Client,
  message: SubscribeMessage,
  context: SubscribeContext,
): Promise<void> {
  const { id, topic } = message;
  const parsed = parseTopic(topic);
  if (parsed === undefined) {
    client.reply(errorReply(id, 'unknown-topic', 'there is no such topic'));
    return;
  }
  const entry = client.subscriptions.reserve(topic, parsed, id, { maxHz: message.maxHz, bbox: message.bbox });
  if (entry === 'already-subscribed') {
    client.reply(errorReply(id, entry, 'already subscribed'));
    return;
  }
  if (entry === 'too-many-subscriptions') {
    client.reply(errorReply(id, entry, 'too many subscriptions on this connection'));
    return;
  }

  const permission = await authorizeCurrent(client, parsed, context.authorize);
  if (entry.signal.aborted) return;
  if (permission.kind !== 'allowed') refusePermission(client, message, permission, context.clock.nowMs());
  else if (parsed.kind === 'results') {
    await subscribeToResults(client, message, entry, permission.mayReadIncidents, context);
  } else await subscribeToPositions(client, message, entry, context);
}

async function subscribeToPositions(
  client: Client,
  message: SubscribeMessage,
  entry: SubscriptionEntry,
  context: SubscribeContext,
): Promise<void> {
  const { id, topic, cursor, epoch, deflate } = message;
  const resumeFrom = cursor === undefined || epoch === undefined ? undefined : { cursor, epoch };
  const isBehind = resumeFrom !== undefined && (await waitForCatchUp(resumeFrom, context.timeline));
  if (entry.signal.aborted) return;
  if (isBehind) {
    // A snapshot would be older than what the client has.
    context.onResume('ahead');
    client.subscriptions.release(topic);
    client.reply(errorReply(id, 'unavailable', 'this server has still to catch up', catchUpLimitMs));
    return;
  }

  entry.pendingReplyTo = undefined;
  const { dialect, connection: recipient } = client;
  const { eventId } = entry.parsedTopic;
  const readsDeflated = deflate === true && dialect === 'batched';
  const request = { eventId, topic, id, dialect, ...entry.view, resumeFrom, readsDeflated, recipient };
  const subscription = registerSubscription(request, context);
  const unregister = (): void => context.registry.unregister(subscription);
  // Writing the reply may have closed the connection, before there was a subscription to unregister.
  if (entry.signal.aborted) unregister();
  else {
    entry.subscription = subscription;
    entry.registration = { unregister, notePermission: () => undefined };
  }
}

/** Authorises with the client's session; again if another one has replaced it meanwhile and Directus refused the old. */
async function authorizeCurrent(
  client: Client,
  topic: Topic,
  authorize: AuthorizeTopic,
): Promise<TopicPermission> {
  for (;;) {
    const { viewer } = client;
    const permission = await authorize(viewer, topic);
    if (permission.kind !== 'session-ended' || client.viewer === viewer) return permission;
  }
}
