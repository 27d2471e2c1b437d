import type { Viewer } from '../access/visitor.ts';
import type { Connection } from './connection.ts';
import { TokenBucket } from './token-bucket.ts';
import { SubscriptionEntries } from '../subscriptions/subscription-entries.ts';
import type { Dialect } from '../subscriptions/subscription.ts';

export interface ClientLimits {
  readonly maxSubscriptions: number;
  readonly messageRatePerS: number;
}

/** A connection and its protocol state. */
export class Client {
  readonly connection: Connection;
  readonly subscriptions: SubscriptionEntries;
  readonly messages: TokenBucket;

  /** @param stoppedMs see `RunClock`. */
  constructor(connection: Connection, limits: ClientLimits, stoppedMs: number) {
    this.connection = connection;
    this.subscriptions = new SubscriptionEntries(limits.maxSubscriptions);
    const burst = 2 * limits.messageRatePerS;
    this.messages = new TokenBucket(limits.messageRatePerS, burst, connection.openedAtMs, stoppedMs);
  }

  get dialect(): Dialect {
    return this.connection.isBatched ? 'batched' : 'plain';
  }

  get viewer(): Viewer {
    return this.connection.viewer;
  }

  reply(frame: string): void {
    this.connection.reply(frame);
  }
}
