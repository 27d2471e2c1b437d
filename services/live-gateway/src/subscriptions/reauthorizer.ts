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
  /** The permission could not be confirmed for as long as that is tolerated: the connection was closed. */
  | 'grace-over';

/** When a subscription is to be checked, by the process's clock. */
interface Check {
  /** Since when the permission waits to be confirmed, or will. */
  readonly dueAtMs: number;
  /** Not earlier: after a failure it is tried again later. */
  readonly nextTryAtMs: number;
  readonly isAsking: boolean;
}

/** The part of Directus' time that goes to those who are already in: newcomers need the rest. */
const maxAtOnce = 16;
const maxRetryMs = 30_000;

/**
 * Asks from time to time whether those who watch still may, each subscription for itself.
 *
 * Who is in stays in while Directus does not answer, for `graceMs` beyond the time at which the check was due; whoever
 * could not be confirmed by then is sent away, to be refused at the door until Directus is back.
 *
 * Directus is asked gently: as many questions at once as it answers, one more after each answer and half as many after
 * each failure. While it is down that is one question at a time, and the first answer brings the others back.
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
  /** By slot, which stays the same while a subscription changes its rate or box, and is another after a new subscribe. */
  readonly #checks = new WeakMap<SubscriptionEntry, Check>();
  #waiting: { readonly client: Client; readonly slot: SubscriptionEntry }[] = [];
  #asking = 0;
  #allowance = maxAtOnce;
  #hasFailedLast = false;
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

  /** Subscriptions whose permission could not be confirmed when it was due, and that are kept all the same. */
  get unconfirmed(): number {
    return this.#unconfirmed;
  }

  /** Sweeps until the signal; rejects with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(Math.min(1_000, this.#intervalMs / 4), signal);
      this.sweep();
    }
  }

  /** Finds what is due and asks as much of it as Directus can bear; the rest follows as answers come. */
  sweep(): void {
    const nowMs = this.#nowMs();
    this.#waiting = [];
    this.#unconfirmed = 0;
    // A copy: closing one takes it out of the set.
    for (const client of Array.from(this.#clients())) {
      for (const slot of client.subscriptions.all()) {
        // One without a subscription is being authorised at this moment.
        if (slot.subscription !== undefined && client.connection.isOpen) this.#look(client, slot, nowMs);
      }
    }
    this.#ask();
  }

  #look(client: Client, slot: SubscriptionEntry, nowMs: number): void {
    const check = this.#checks.get(slot) ?? this.#schedule(slot, nowMs);
    // Also for those whose turn does not come while Directus is down.
    const isUnconfirmed = this.#hasFailedLast && check.dueAtMs <= nowMs;
    if (isUnconfirmed) this.#unconfirmed += 1;
    if (isUnconfirmed && nowMs - check.dueAtMs > this.#graceMs) this.#giveUp(client);
    else if (!check.isAsking && check.nextTryAtMs <= nowMs) this.#waiting.push({ client, slot });
  }

  #giveUp(client: Client): void {
    this.#onOutcome('grace-over');
    client.connection.end(closeReasons.permissionUnconfirmed);
  }

  /** Spread over half an interval, so that those who came in one storm are not checked in one. */
  #schedule(slot: SubscriptionEntry, nowMs: number): Check {
    const atMs = nowMs + this.#intervalMs * (0.75 + 0.5 * this.#random());
    const check = { dueAtMs: atMs, nextTryAtMs: atMs, isAsking: false };
    this.#checks.set(slot, check);
    return check;
  }

  #ask(): void {
    while (this.#asking < this.#allowance) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      // A rejection is a programmer's error: nobody handles it, and it ends the process.
      void this.#check(next.client, next.slot);
    }
  }

  async #check(client: Client, slot: SubscriptionEntry): Promise<void> {
    const check = this.#checks.get(slot);
    const { subscription } = slot;
    // Gone since the sweep.
    if (check === undefined || subscription === undefined || !client.subscriptions.holds(slot)) return;
    this.#checks.set(slot, { ...check, isAsking: true });
    this.#asking += 1;
    const startedAtMs = this.#nowMs();
    // An answer from before this moment does not tell whether the permission still holds.
    const permission = await this.#authorize(client.viewer, subscription.eventId, startedAtMs);
    this.#asking -= 1;
    this.#noteHealth(permission.kind !== 'unavailable');
    this.#applyResult(client, slot, check, permission);
    this.#ask();
  }

  #noteHealth(hasAnswered: boolean): void {
    this.#hasFailedLast = !hasAnswered;
    this.#allowance = hasAnswered
      ? Math.min(maxAtOnce, this.#allowance + 1)
      : Math.max(1, Math.floor(this.#allowance / 2));
  }

  #applyResult(client: Client, slot: SubscriptionEntry, check: Check, permission: Permission): void {
    const nowMs = this.#nowMs();
    this.#onOutcome(permission.kind);
    // The client has given the topic up, or has gone, while Directus was asked: that wins.
    if (!client.subscriptions.holds(slot) || !client.connection.isOpen) return;
    switch (permission.kind) {
      case 'allowed':
        this.#schedule(slot, nowMs);
        return;
      case 'forbidden':
        client.subscriptions.release(slot.topic);
        if (slot.subscription !== undefined) this.#unregister(slot.subscription);
        client.reply(unsubscribedReply(undefined, slot.topic, 'forbidden'));
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
        const nextTryAtMs = nowMs + waitMs * (1 + this.#random());
        this.#checks.set(slot, { dueAtMs: check.dueAtMs, nextTryAtMs, isAsking: false });
      }
    }
  }
}
