import type { Bbox, MessageId } from '@app/shared/messages';
import type { Topic } from '@app/shared/topics';
import type { Subscription } from './subscription.ts';

/** What is kept up for an entry from the answer to `subscribe` to its release. */
export interface Registration {
  /** After a later check of the permission. */
  notePermission(permission: { readonly mayReadIncidents: boolean }): void;
  unregister(): void;
}

/** A client's reservation of a topic, from its `subscribe` until it is released. */
export class SubscriptionEntry {
  readonly topic: string;
  readonly parsedTopic: Topic;
  /** An `update` changes it as long as there is no subscription. */
  readonly view: { maxHz: number | undefined; bbox: Bbox | undefined };
  /** Undefined once the `subscribe` message has been answered. */
  pendingReplyTo: { readonly id: MessageId | undefined } | undefined;
  /** Undefined until the client is authorised. */
  registration: Registration | undefined;
  /** Of positions; undefined until the client is authorised. */
  subscription: Subscription | undefined;
  readonly #released = new AbortController();

  constructor(topic: string, parsedTopic: Topic, id: MessageId | undefined, view: SubscriptionEntry['view']) {
    this.topic = topic;
    this.parsedTopic = parsedTopic;
    this.view = view;
    this.pendingReplyTo = { id };
  }

  /** Aborted once the topic was released: unsubscribed, refused, withdrawn, or the connection was closed. */
  get signal(): AbortSignal {
    return this.#released.signal;
  }

  /** For `SubscriptionEntries`. */
  abort(): void {
    // With a reason of its own: the default one is an error with a stack trace.
    this.#released.abort('released');
  }
}

/**
 * The topics of one connection. A topic is reserved before the client is authorised, so that it counts towards the
 * limit and a second `subscribe` is answered `already-subscribed`.
 */
export class SubscriptionEntries {
  readonly #entries = new Map<string, SubscriptionEntry>();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  reserve(
    topic: string,
    parsedTopic: Topic,
    id: MessageId | undefined,
    view: SubscriptionEntry['view'],
  ): SubscriptionEntry | 'already-subscribed' | 'too-many-subscriptions' {
    if (this.#entries.has(topic)) return 'already-subscribed';
    if (this.#entries.size >= this.#maxEntries) return 'too-many-subscriptions';
    const entry = new SubscriptionEntry(topic, parsedTopic, id, view);
    this.#entries.set(topic, entry);
    return entry;
  }

  get(topic: string): SubscriptionEntry | undefined {
    return this.#entries.get(topic);
  }

  get size(): number {
    return this.#entries.size;
  }

  all(): Iterable<SubscriptionEntry> {
    return this.#entries.values();
  }

  release(topic: string): SubscriptionEntry | undefined {
    const entry = this.#entries.get(topic);
    this.#entries.delete(topic);
    entry?.abort();
    return entry;
  }

  releaseAll(): readonly SubscriptionEntry[] {
    const entries = [...this.#entries.values()];
    for (const { topic } of entries) this.release(topic);
    return entries;
  }
}
