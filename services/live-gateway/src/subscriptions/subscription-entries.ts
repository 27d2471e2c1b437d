import type { Bbox, MessageId } from '@app/shared/messages';
import type { Subscription } from './subscription.ts';

/** A topic that a client has subscribed to, from before it is authorised until it is released. */
export interface SubscriptionEntry {
  readonly topic: string;
  /** What an `update` may change before the subscription is registered. */
  readonly view: { maxHz: number | undefined; bbox: Bbox | undefined };
  /** The `subscribe` message, until it has a reply. */
  pendingReplyTo: { readonly id: MessageId | undefined } | undefined;
  /** Undefined until it is registered. */
  subscription: Subscription | undefined;
  /** The client has unsubscribed or gone, or has lost its permission: nothing more may happen for this entry. */
  isReleased: boolean;
}

/**
 * The topics of one connection. An entry is taken before the authorisation, so that it counts for the limit and for
 * `already-subscribed`; whoever has waited for anything checks `isReleased` afterwards.
 */
export class SubscriptionEntries {
  readonly #entries = new Map<string, SubscriptionEntry>();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  take(
    topic: string,
    id: MessageId | undefined,
    view: SubscriptionEntry['view'],
  ): SubscriptionEntry | 'already-subscribed' | 'too-many-subscriptions' {
    if (this.#entries.has(topic)) return 'already-subscribed';
    if (this.#entries.size >= this.#maxEntries) return 'too-many-subscriptions';
    const entry: SubscriptionEntry = {
      topic,
      view,
      pendingReplyTo: { id },
      subscription: undefined,
      isReleased: false,
    };
    this.#entries.set(topic, entry);
    return entry;
  }

  get(topic: string): SubscriptionEntry | undefined {
    return this.#entries.get(topic);
  }

  get size(): number {
    return this.#entries.size;
  }

  release(topic: string): SubscriptionEntry | undefined {
    const entry = this.#entries.get(topic);
    if (entry === undefined) return undefined;
    entry.isReleased = true;
    this.#entries.delete(topic);
    return entry;
  }

  all(): Iterable<SubscriptionEntry> {
    return this.#entries.values();
  }

  releaseAll(): readonly SubscriptionEntry[] {
    const entries = [...this.#entries.values()];
    for (const entry of entries) entry.isReleased = true;
    this.#entries.clear();
    return entries;
  }
}
