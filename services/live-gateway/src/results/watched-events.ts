import type { EventResults } from './event-results.ts';
import type { ResultsSubscription } from './results-subscription.ts';

/** An event whose results clients of this gateway are sent, or were a short time ago. */
export interface WatchedEvent {
  readonly eventId: string;
  /** Undefined until they have been read. */
  results: EventResults | undefined;
  /** The announcement up to which they are applied; undefined while Redis does not say. */
  lastId: string | undefined;
  /** The tables have rows that could not be read yet. */
  isStale: boolean;
  /** The read that is running. */
  reading: Promise<void> | undefined;
  /** When the last one ended, by the run clock. */
  readAtMs: number;
  /** When the last subscription ended. */
  idleSinceMs: number;
  /** The state that every subscription has been written, other than those that are behind. */
  deliveredState: number;
  readonly subscriptions: Set<ResultsSubscription>;
  /** Those whose connection was not writable. */
  readonly behind: Set<ResultsSubscription>;
}

/** Kept for so long after the last subscription, so that a client that comes back is resumed without a read. */
const keptIdleMs = 30_000;

/** The events whose results this gateway holds. Synchronous. */
export class WatchedEvents {
  readonly #events = new Map<string, WatchedEvent>();
  readonly #nowMs: () => number;
  #hasChanged = false;
  #wake: () => void = () => undefined;
  #subscriptionCount = 0;

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  all(): readonly WatchedEvent[] {
    return [...this.#events.values()];
  }

  /** The event; from now on it is followed. */
  watch(eventId: string): WatchedEvent {
    let event = this.#events.get(eventId);
    if (event === undefined) {
      event = {
        eventId,
        results: undefined,
        lastId: undefined,
        isStale: false,
        reading: undefined,
        readAtMs: -Infinity,
        idleSinceMs: 0,
        deliveredState: 0,
        subscriptions: new Set(),
        behind: new Set(),
      };
      this.#events.set(eventId, event);
    }
    event.idleSinceMs = this.#nowMs();
    return event;
  }

  register(subscription: ResultsSubscription, event: WatchedEvent): void {
    this.#events.set(event.eventId, event);
    event.subscriptions.add(subscription);
    event.behind.add(subscription);
    this.#subscriptionCount += 1;
  }

  unregister(subscription: ResultsSubscription): void {
    const event = this.#events.get(subscription.eventId);
    if (event?.subscriptions.delete(subscription) !== true) return;
    event.behind.delete(subscription);
    event.idleSinceMs = this.#nowMs();
    this.#subscriptionCount -= 1;
  }

  dropIdle(): void {
    for (const { eventId, subscriptions, reading, idleSinceMs } of this.#events.values()) {
      const isIdle = subscriptions.size === 0 && reading === undefined;
      if (isIdle && this.#nowMs() - idleSinceMs > keptIdleMs) this.#events.delete(eventId);
    }
  }

  markChanged(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  /** Resolves at the next change, at once after one since the last call, and after this time. */
  async nextChange(timeoutMs: number): Promise<void> {
    if (!this.#hasChanged) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
    }
    this.#hasChanged = false;
  }
}
