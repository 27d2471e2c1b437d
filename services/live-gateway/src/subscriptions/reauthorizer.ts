import { delay } from '@app/runtime/retry';
import { closeReasons } from '../connection/close-reasons.ts';
import type { Authorize, Permission } from '../access/authorize.ts';
import type { Client } from '../connection/client.ts';
import { unsubscribedReply } from '../protocol/replies.ts';
import type { SubscriptionEntry } from './subscription-entries.ts';
import type { Subscription } from './subscription.ts';

/** How a check of a live subscription ended; the label of `live_reauthorizations_total`. */
export type ReauthorizationOutcome =
  | Permission['kind']
  /** The permission could not be confirmed within the grace period: the connection was closed. */
  | 'grace-over';

/** The next check of a subscription, by the process's clock. */
interface Check {
  readonly dueAtMs: number;
  /** Later than `dueAtMs` after a failed attempt. */
  readonly nextAttemptAtMs: number;
  readonly isRunning: boolean;
}

/** Half of the concurrent requests to Directus; the other half is left for new subscriptions. */
const maxConcurrentChecks = 16;
const maxRetryMs = 30_000;

/**
 * Re-authorises each subscription periodically.
 *
 * While Directus does not answer, subscriptions are kept for `graceMs` after their check was due; then the connection is
 * closed, and new ones are refused until Directus is back.
 *
 * Concurrency is additive increase, multiplicative decrease: one more request after each answer, half as many after each
 * failure. While Directus is down that is one request at a time, and answers bring the others back.
 */
export class Reauthorizer {
  readonly #clients: () => Iterable<Client>;
  readonly #authorize: Authorize;
  readonly #unregister: (subscription: Subscription) => void;
  readonly #onOutcome: (outcome: ReauthorizationOutcome) => void;
  readonly #intervalMs: number;
  readonly #graceMs: number;
  readonly #nowMs: () => number;
  readonly #random: () => number;
  /** By entry, which stays the same when an `update` changes the view, and is new after a new `subscribe`. */
  readonly #checks = new WeakMap<SubscriptionEntry, Check>();
  #queue: { readonly client: Client; readonly entry: SubscriptionEntry }[] = [];
  #runningChecks = 0;
  #concurrency = maxConcurrentChecks;
  #hasLastFailed = false;
  #unconfirmed = 0;

  constructor(options: {
    readonly clients: () => Iterable<Client>;
    readonly authorize: Authorize;
    readonly unregister: (subscription: Subscription) => void;
    readonly onOutcome: (outcome: ReauthorizationOutcome) => void;
    readonly intervalMs: number;
    readonly graceMs: number;
    readonly nowMs: () => number;
    /** A number in [0, 1). */
    readonly random?: () => number;
  }) {
    this.#clients = options.clients;
    this.#authorize = options.authorize;
    this.#unregister = options.unregister;
    this.#onOutcome = options.onOutcome;
    this.#intervalMs = options.intervalMs;
    this.#graceMs = options.graceMs;
    this.#nowMs = options.nowMs;
    this.#random = options.random ?? Math.random;
  }

  /** Subscriptions kept although their permission could not be confirmed when the check was due. */
  get unconfirmed(): number {
    return this.#unconfirmed;
  }

  /** Sweeps until `signal` aborts; rejects with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(Math.min(1_000, this.#intervalMs / 4), signal);
      this.sweep();
    }
  }

  /** Queues the checks that are due and starts as many as the concurrency allows; the others follow as checks end. */
  sweep(): void {
    const nowMs = this.#nowMs();
    this.#queue = [];
    this.#unconfirmed = 0;
    // A copy: closing a client removes it from the set.
    for (const client of Array.from(this.#clients())) {
      for (const entry of client.subscriptions.all()) {
        // An entry without a subscription is still being authorised.
        if (entry.subscription !== undefined && client.connection.isOpen)
          this.#enqueueIfDue(client, entry, nowMs);
      }
    }
    this.#startChecks();
  }

  #enqueueIfDue(client: Client, entry: SubscriptionEntry, nowMs: number): void {
    const check = this.#checks.get(entry) ?? this.#schedule(entry, nowMs);
    // Also without an attempt of its own, which may not be made while Directus is down.
    const isUnconfirmed = this.#hasLastFailed && check.dueAtMs <= nowMs;
    if (isUnconfirmed) this.#unconfirmed += 1;
    if (isUnconfirmed && nowMs - check.dueAtMs > this.#graceMs) this.#giveUp(client);
    else if (!check.isRunning && check.nextAttemptAtMs <= nowMs) this.#queue.push({ client, entry });
  }

  #giveUp(client: Client): void {
    this.#onOutcome('grace-over');
    client.connection.end(closeReasons.permissionUnconfirmed);
  }

  /** Spread over half an interval, so that clients that reconnected at once are not checked at once. */
  #schedule(entry: SubscriptionEntry, nowMs: number): Check {
    const atMs = nowMs + this.#intervalMs * (0.75 + 0.5 * this.#random());
    const check = { dueAtMs: atMs, nextAttemptAtMs: atMs, isRunning: false };
    this.#checks.set(entry, check);
    return check;
  }

  #startChecks(): void {
    while (this.#runningChecks < this.#concurrency) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      // A rejection is a bug: unhandled, it ends the process.
      void this.#check(next.client, next.entry);
    }
  }

  async #check(client: Client, entry: SubscriptionEntry): Promise<void> {
    const check = this.#checks.get(entry);
    const { subscription } = entry;
    if (check === undefined || subscription === undefined || entry.isReleased) return;
    this.#checks.set(entry, { ...check, isRunning: true });
    this.#runningChecks += 1;
    const startedAtMs = this.#nowMs();
    // A cached answer from before this moment does not show whether the permission still holds.
    const permission = await this.#authorize(client.viewer, subscription.eventId, startedAtMs);
    this.#runningChecks -= 1;
    this.#noteHealth(permission.kind !== 'unavailable');
    this.#applyResult(client, entry, check, permission);
    this.#startChecks();
  }

  #noteHealth(hasAnswered: boolean): void {
    this.#hasLastFailed = !hasAnswered;
    this.#concurrency = hasAnswered
      ? Math.min(maxConcurrentChecks, this.#concurrency + 1)
      : Math.max(1, Math.floor(this.#concurrency / 2));
  }

  #applyResult(client: Client, entry: SubscriptionEntry, check: Check, permission: Permission): void {
    const nowMs = this.#nowMs();
    this.#onOutcome(permission.kind);
    // The client has unsubscribed or gone meanwhile.
    if (entry.isReleased || !client.connection.isOpen) return;
    switch (permission.kind) {
      case 'allowed':
        this.#schedule(entry, nowMs);
        return;
      case 'forbidden':
        client.subscriptions.release(entry.topic);
        if (entry.subscription !== undefined) this.#unregister(entry.subscription);
        client.reply(unsubscribedReply(undefined, entry.topic, 'forbidden'));
        return;
      case 'session-ended':
        client.connection.end(closeReasons.sessionInvalid);
        return;
      case 'unavailable': {
        if (nowMs - check.dueAtMs > this.#graceMs) {
          this.#giveUp(client);
          return;
        }
        const waitMs = Math.max(permission.retryAfterMs ?? 0, Math.min(maxRetryMs, this.#intervalMs / 10));
        const nextAttemptAtMs = nowMs + waitMs * (1 + this.#random());
        this.#checks.set(entry, { dueAtMs: check.dueAtMs, nextAttemptAtMs, isRunning: false });
      }
    }
  }
}
