import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { ResultsSubscription } from './results-subscription.ts';
import type { WatchedEvent, WatchedEvents } from './watched-events.ts';

export interface DeliveryOptions {
  readonly events: WatchedEvents;
  /** Called with the time of a revision, by the clock of Postgres, once it was written to each client that is not behind. */
  readonly onDelivered: (revisedAtMs: number) => void;
  /** The run clock. */
  readonly nowMs: () => number;
}

/** How often clients that were not writable are tried again. */
const retryMs = 100;
/** Sockets written to before yielding to the event loop, as by the fan-out of positions, whose ticks go on in between. */
const sliceSockets = 500;

/** Writes changes to the subscriptions as they arrive, until the signal; rejects with its reason. */
export async function deliverResults(options: DeliveryOptions, signal: AbortSignal): Promise<never> {
  const { events } = options;
  for (;;) {
    await events.nextChange(retryMs);
    signal.throwIfAborted();
    for (const event of events.all()) await deliver(event, options);
  }
}

async function deliver(event: WatchedEvent, { events, onDelivered, nowMs }: DeliveryOptions): Promise<void> {
  const { results, subscriptions, behind } = event;
  if (results === undefined) return;
  const { state, revision } = results;
  const isNew = event.deliveredState !== state;
  let sockets = 0;
  // Both sets may change meanwhile: one that ends is no longer visited.
  for (const subscription of isNew ? subscriptions : behind) {
    flushResults(subscription, event, events, nowMs());
    sockets += 1;
    if (sockets % sliceSockets === 0) await yieldToEventLoop();
  }
  event.deliveredState = state;
  if (isNew && subscriptions.size > 0) onDelivered(Number(revision.revisedAtUs) / 1000);
}

/** Writes what the subscription lacks, and remembers it as behind if it cannot. An unexpected error closes its connection. */
export function flushResults(
  subscription: ResultsSubscription,
  { results, subscriptions, behind }: WatchedEvent,
  events: WatchedEvents,
  nowMs: number,
): void {
  if (results === undefined) return;
  try {
    if (subscription.flush(results, nowMs)) behind.delete(subscription);
    // Writing may have closed its connection.
    else if (subscriptions.has(subscription)) behind.add(subscription);
  } catch (error) {
    subscription.recipient.fail('write', error);
    events.unregister(subscription);
  }
}
