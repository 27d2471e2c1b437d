import type { Viewer } from '../access/visitor.ts';
import type { Connection } from './connection.ts';
import { TokenBucket } from './token-bucket.ts';
import { SubscriptionEntries } from '../subscriptions/subscription-entries.ts';
import type { Dialect } from '../subscriptions/subscription.ts';

export interface ClientLimits {
  readonly maxSubscriptions: number;
  readonly messageRatePerS: number;
  /** Whether `LIVE_TICKET_KEY` is set. */
  readonly acceptsTickets: boolean;
}

/** A connection and its protocol state. */
export class Client {
  readonly connection: Connection;
  readonly subscriptions: SubscriptionEntries;
  readonly messages: TokenBucket;
  /** How the client can hand over another credential of its kind, as `hello` says; undefined if it cannot. */
  readonly handover: 'ticket' | 'token' | undefined;
  /** When the connection is closed because its session has ended, by the run clock; undefined while it is valid. */
  sessionEndsAtMs: number | undefined;
  #viewer: Viewer;

  /** @param stoppedMs see `RunClock`. */
  constructor(connection: Connection, limits: ClientLimits, stoppedMs: number) {
    this.connection = connection;
    this.subscriptions = new SubscriptionEntries(limits.maxSubscriptions);
    const { kind } = connection.viewer.credential;
    if (!connection.isBatched) this.handover = undefined;
    else if (kind === 'session') this.handover = limits.acceptsTickets ? 'ticket' : undefined;
    else this.handover = kind === 'bearer' ? 'token' : undefined;
    this.#viewer = connection.viewer;
    const burst = 2 * limits.messageRatePerS;
    this.messages = new TokenBucket(limits.messageRatePerS, burst, connection.openedAtMs, stoppedMs);
  }

  get dialect(): Dialect {
    return this.connection.isBatched ? 'batched' : 'plain';
  }

  get viewer(): Viewer {
    return this.#viewer;
  }

  /** @param viewer the same user with another session. */
  replaceSession(viewer: Viewer): void {
    this.#viewer = viewer;
    this.sessionEndsAtMs = undefined;
  }

  reply(frame: string): void {
    this.connection.reply(frame);
  }
}
