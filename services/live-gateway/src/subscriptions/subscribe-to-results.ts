import type { ClientMessage } from '@app/shared/messages';
import type { Client } from '../connection/client.ts';
import { errorReply } from '../protocol/replies.ts';
import { flushResults } from '../results/deliver-results.ts';
import { resultsReply } from '../results/encode-results.ts';
import type { ResultsView } from '../results/result-rows.ts';
import { ResultsSubscription } from '../results/results-subscription.ts';
import type { WatchedEvent, WatchedEvents } from '../results/watched-events.ts';
import type { SubscriptionEntry } from './subscription-entries.ts';

export interface ResultsContext {
  readonly results: {
    readonly events: WatchedEvents;
    /** See `ResultsReader.open`. */
    readonly open: (eventId: string, cursor: string | undefined) => Promise<WatchedEvent | undefined>;
  };
  /** Does not advance while the process does not run. */
  readonly clock: { nowMs(): number };
}

const retryAfterMs = 2000;

/** Continues an authorised `subscribe` to results: waits until they have been read, replies and registers. */
export async function subscribeToResults(
  client: Client,
  { id, topic, cursor }: Extract<ClientMessage, { type: 'subscribe' }>,
  entry: SubscriptionEntry,
  mayReadIncidents: boolean,
  { results: { events, open }, clock }: ResultsContext,
): Promise<void> {
  const { eventId } = entry.parsedTopic;
  const event = await open(eventId, cursor);
  if (entry.signal.aborted) return;
  const results = event?.results;
  if (event === undefined || results === undefined) {
    client.subscriptions.release(topic);
    client.reply(errorReply(id, 'unavailable', 'the results cannot be read now', retryAfterMs));
    return;
  }

  entry.pendingReplyTo = undefined;
  const view = viewOf(mayReadIncidents);
  const state = cursor === undefined ? undefined : results.stateAt(cursor, view);
  const recipient = client.connection;
  const subscription = new ResultsSubscription({ eventId, topic, recipient, view, state });
  entry.registration = {
    unregister: () => events.unregister(subscription),
    notePermission: (permission) => {
      if (subscription.setView(viewOf(permission.mayReadIncidents))) flush();
    },
  };
  const flush = (): void => flushResults(subscription, event, events, clock.nowMs());
  events.register(subscription, event);
  const isCurrent = state === results.state;
  recipient.reply(
    resultsReply(topic, id, state === undefined ? { reset: true } : isCurrent ? results.completed(view) : {}),
  );
  flush();
}

function viewOf(mayReadIncidents: boolean): ResultsView {
  return mayReadIncidents ? 'full' : 'public';
}
