/**
 * The state of a topic's subscription.
 *
 * Statuses: `pending`, to be requested now or at `retryAtMs`; `requested`, without a reply yet; `subscribed`; `ended`,
 * rejected or revoked for good.
 */
export class TopicState {
  readonly name: string;
  status: 'pending' | 'requested' | 'subscribed' | 'ended' = 'pending';
  /** By the machine's clock; Infinity if no retry is scheduled. */
  retryAtMs = Infinity;
  failures = 0;

  constructor(name: string) {
    this.name = name;
  }
}
