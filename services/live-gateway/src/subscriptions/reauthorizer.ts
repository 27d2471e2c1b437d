import { delay } from '@app/runtime/retry';
import type { AuthorizeTopic, TopicPermission } from '../access/authorize-topic.ts';
import { guardClient } from '../connection/client-errors.ts';
import type { Client } from '../connection/client.ts';
import { closeReasons } from '../connection/close-reasons.ts';
import { unsubscribedReply } from '../protocol/replies.ts';
import { AdaptiveLimit } from './adaptive-limit.ts';
import { endSession } from './end-session.ts';
import type { Registration, SubscriptionEntry } from './subscription-entries.ts';

/** How a check ended; label `outcome` of `live_reauthorizations_total`. */
export type ReauthorizationOutcome =
  | TopicPermission['kind']
  /** Not confirmed within the grace period: the connection was closed. */
  | 'grace-over';

interface ReauthorizerOptions {
  readonly clients: () => Iterable<Client>;
  readonly authorize: AuthorizeTopic;
  readonly onOutcome: (outcome: ReauthorizationOutcome) => void;
  readonly intervalMs: number;
  readonly graceMs: number;
  readonly nowMs: () => number;
  /** Measures the grace period, and the time to hand over another session. */
  readonly runClock: { nowMs(): number };
}

/** The next check of a subscription. */
interface Check {
  /** When the permission must be confirmed, by the process's clock: also after a stop of the process. */
  readonly dueAtMs: number;
  /** When it was found due, by the run clock; undefined before. The grace period starts then. */
  readonly foundDueAtMs: number | undefined;
  /** After a failure the next attempt is later than `dueAtMs`. */
  readonly nextTryAtMs: number;
  readonly isRunning: boolean;
}

interface Target {
  readonly client: Client;
  readonly entry: SubscriptionEntry;
}

/** Maximum concurrent checks: half of the calls to Directus, so that new clients get the other half. */
const maxConcurrentChecks = 16;
const maxRetryMs = 30_000;
/** The wait after a failed check, as a share of the interval, up to `maxRetryMs`. */
const retryShare = 0.1;
/** A check is due after the interval, plus or minus up to this share of it. */
const intervalSpread = 0.25;
const maxSweepIntervalMs = 1_000;
/** A short interval is swept this often at least. */
const minSweepsPerInterval = 4;

/**
 * Periodically confirms that each subscription is still permitted.
 *
 * While Directus is unavailable a subscription is kept for the grace period after its check was due. Then its
 * connection is closed, and admission is refused until Directus is back.
 */
export class Reauthorizer {
  readonly #options: ReauthorizerOptions;
  /** By entry: it stays the same when the rate or the box changes, and a new `subscribe` has another one. */
  readonly #checks = new WeakMap<SubscriptionEntry, Check>();
  readonly #limit = new AdaptiveLimit(maxConcurrentChecks);
  #waiting: Target[] = [];
  #unconfirmed = 0;

  constructor(options: ReauthorizerOptions) {
    this.#options = options;
  }

  /** Subscriptions that are kept although their check is overdue, because Directus is unavailable. */
  get unconfirmed(): number {
    return this.#unconfirmed;
  }

  /** Checks the client's subscriptions as soon as possible: it has another session. */
  recheck(client: Client): void {
    const nowMs = this.#options.nowMs();
    for (const entry of client.subscriptions.all()) {
      this.#checks.set(entry, {
        dueAtMs: nowMs,
        foundDueAtMs: undefined,
        nextTryAtMs: nowMs,
        isRunning: false,
      });
    }
  }

  /** Sweeps until the signal; rejects with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(Math.min(maxSweepIntervalMs, this.#options.intervalMs / minSweepsPerInterval), signal);
      this.#sweep();
    }
  }

  /** Finds the checks that are due and starts as many as the limit allows; each one that ends starts the next. */
  #sweep(): void {
    const nowMs = this.#options.nowMs();
    this.#waiting = [];
    this.#unconfirmed = 0;
    // A copy: closing a connection removes its client from the set.
    for (const client of Array.from(this.#options.clients())) {
      // Its session has ended: without another one there is nothing to check.
      if (client.sessionEndsAtMs !== undefined) {
        if (client.sessionEndsAtMs > this.#options.runClock.nowMs()) continue;
        guardClient(client.connection, 'reauthorise', () =>
          client.connection.end(closeReasons.sessionInvalid),
        );
        continue;
      }
      for (const entry of client.subscriptions.all()) {
        // Without a registration it is being authorised right now.
        if (entry.registration === undefined) continue;
        guardClient(client.connection, 'reauthorise', () => this.#inspect(client, entry, nowMs));
      }
    }
    this.#startChecks();
  }

  #inspect(client: Client, entry: SubscriptionEntry, nowMs: number): void {
    let check = this.#checks.get(entry) ?? this.#schedule(entry, nowMs);
    if (check.dueAtMs <= nowMs && check.foundDueAtMs === undefined) {
      check = { ...check, foundDueAtMs: this.#options.runClock.nowMs() };
      this.#checks.set(entry, check);
    }
    // Also counts subscriptions whose check has not been started because of the limit.
    const isUnconfirmed = this.#limit.hasFailedLast && check.dueAtMs <= nowMs;
    if (isUnconfirmed) this.#unconfirmed += 1;
    if (isUnconfirmed && this.#isGraceOver(check)) this.#closeUnconfirmed(client);
    else if (!check.isRunning && check.nextTryAtMs <= nowMs) this.#waiting.push({ client, entry });
  }

  #isGraceOver({ foundDueAtMs }: Check): boolean {
    const { runClock, graceMs } = this.#options;
    return foundDueAtMs !== undefined && runClock.nowMs() - foundDueAtMs > graceMs;
  }

  #closeUnconfirmed(client: Client): void {
    this.#options.onOutcome('grace-over');
    client.connection.end(closeReasons.permissionUnconfirmed);
  }

  /** Spreads the checks over half an interval, so that clients that connected together are not checked together. */
  #schedule(entry: SubscriptionEntry, nowMs: number): Check {
    const atMs = nowMs + this.#options.intervalMs * (1 - intervalSpread + 2 * intervalSpread * Math.random());
    const check = { dueAtMs: atMs, foundDueAtMs: undefined, nextTryAtMs: atMs, isRunning: false };
    this.#checks.set(entry, check);
    return check;
  }

  #startChecks(): void {
    while (this.#limit.hasCapacity) {
      const target = this.#waiting.shift();
      if (target === undefined) return;
      void this.#check(target);
    }
  }

  /** Never rejects: an unexpected error closes the client's connection. */
  async #check(target: Target): Promise<void> {
    try {
      await this.#confirm(target);
    } catch (error) {
      target.client.connection.fail('reauthorise', error);
    }
    this.#startChecks();
  }

  async #confirm(target: Target): Promise<void> {
    const { client, entry } = target;
    const check = this.#checks.get(entry);
    const { registration } = entry;
    const { viewer } = client;
    if (check === undefined || registration === undefined || entry.signal.aborted) return;
    this.#checks.set(entry, { ...check, isRunning: true });
    // A cached permission from before this moment does not count, except the one that all anonymous viewers share: each
    // of thousands would be asked for by itself.
    const notBeforeMs = viewer.userId === undefined ? undefined : this.#options.nowMs();
    const permission = await this.#limit.run(
      () => this.#options.authorize(viewer, entry.parsedTopic, notBeforeMs),
      ({ kind }) => kind === 'unavailable',
    );
    this.#options.onOutcome(permission.kind);
    // Released during the check: the client has already been answered. Another session: `recheck` was called.
    if (!entry.signal.aborted && client.viewer === viewer) {
      this.#apply(permission, target, registration, check);
    }
  }

  #apply(
    permission: TopicPermission,
    { client, entry }: Target,
    registration: Registration,
    check: Check,
  ): void {
    const nowMs = this.#options.nowMs();
    switch (permission.kind) {
      case 'allowed':
        this.#schedule(entry, nowMs);
        registration.notePermission(permission);
        return;
      case 'forbidden':
        client.subscriptions.release(entry.topic);
        registration.unregister();
        client.reply(unsubscribedReply(undefined, entry.topic, 'forbidden'));
        return;
      case 'session-ended':
        this.#checks.set(entry, { ...check, isRunning: false });
        endSession(client, this.#options.runClock.nowMs());
        return;
      case 'unavailable': {
        if (this.#isGraceOver(check)) {
          this.#closeUnconfirmed(client);
          return;
        }
        const waitMs = Math.max(
          permission.retryAfterMs ?? 0,
          Math.min(maxRetryMs, this.#options.intervalMs * retryShare),
        );
        const nextTryAtMs = nowMs + waitMs * (1 + Math.random());
        this.#checks.set(entry, { ...check, nextTryAtMs, isRunning: false });
      }
    }
  }
}
