import type { Bbox, MessageId } from '@app/shared/messages';
import type { Subscription } from './subscription.ts';

/** A topic that a client has asked for: from before it is authorised until it is given up. */
export interface SubscriptionEntry {
  readonly topic: string;
  /** What an `update` may change before there is a subscription. */
  readonly view: { maxHz: number | undefined; bbox: Bbox | undefined };
  /** Of the `subscribe` message, as long as that has no reply. */
  pendingReplyTo: { readonly id: MessageId | undefined } | undefined;
  /** None as long as the authorisation is not there. */
  subscription: Subscription | undefined;
}

/**
 * The topics of one connection. A slot is taken before the authorisation is asked for, so that it counts for the limit
 * and for `already-subscribed`, and compared after it: who has unsubscribed or gone in between is not subscribed.
 */
export class SubscriptionEntries {
  readonly #slots = new Map<string, SubscriptionEntry>();
  readonly #maxSlots: number;

  constructor(maxSlots: number) {
    this.#maxSlots = maxSlots;
  }

  take(
    topic: string,
    id: MessageId | undefined,
    view: SubscriptionEntry['view'],
  ): SubscriptionEntry | 'already-subscribed' | 'too-many-subscriptions' {
    if (this.#slots.has(topic)) return 'already-subscribed';
    if (this.#slots.size >= this.#maxSlots) return 'too-many-subscriptions';
    const slot: SubscriptionEntry = { topic, view, pendingReplyTo: { id }, subscription: undefined };
    this.#slots.set(topic, slot);
    return slot;
  }

  get(topic: string): SubscriptionEntry | undefined {
    return this.#slots.get(topic);
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Whether the slot is still the one that was taken: neither given up nor given up and taken anew. */
  holds(slot: SubscriptionEntry): boolean {
    return this.#slots.get(slot.topic) === slot;
  }

  release(topic: string): SubscriptionEntry | undefined {
    const slot = this.#slots.get(topic);
    this.#slots.delete(topic);
    return slot;
  }

  all(): Iterable<SubscriptionEntry> {
    return this.#slots.values();
  }

  releaseAll(): readonly SubscriptionEntry[] {
    const slots = [...this.#slots.values()];
    this.#slots.clear();
    return slots;
  }
}
