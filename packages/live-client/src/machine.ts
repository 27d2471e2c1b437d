import { closeCode, shouldReconnect, subprotocol } from '@app/shared/protocol';
import { asMs, asString, parseServerMessage } from './server-message.ts';
import { Subscriptions } from './subscriptions.ts';
import type { SubscriptionAction } from './subscriptions.ts';
import {
  attemptGapMs,
  connectTimeoutMs,
  responseTimeoutMs,
  retryDelayMs,
  stableAfterMs,
  staleAfterMs,
  tooManyMessagesPauseMs,
  wakeResponseTimeoutMs,
} from './timing.ts';
import type { ResultsTopic } from './results-topic.ts';
import type { Topic, View } from './topic.ts';

/**
 * `connecting`: not live yet. `live`: every topic is subscribed. `stale`: still connected, but nothing was received for
 * 35 s. `reconnecting`: was live before. Final states: `unauthorised`, the session or permission is gone, and `closed`.
 */
export type LiveState = 'connecting' | 'live' | 'stale' | 'reconnecting' | 'unauthorised' | 'closed';

/** Why a client has stopped. `code` is the close code if the server closed the connection. */
export interface Ending {
  readonly code?: number;
  readonly reason: string;
}

/** Requests that the application makes for the client; see `ConnectOptions`. */
export type SessionRequest = 'checkSession' | 'refreshSession';

export type Input =
  | { readonly type: 'start' }
  | { readonly type: 'open'; readonly protocol: string }
  | { readonly type: 'message'; readonly data: string }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  /** `timerAtMs` is reached. Too early does no harm. */
  | { readonly type: 'timer' }
  /** The network is back, or the page is visible again. */
  | { readonly type: 'wake' }
  /** The HTTP status of a session request; undefined if it failed. */
  | { readonly type: 'response'; readonly number: number; readonly status: number | undefined }
  /** The page has refreshed the session. */
  | { readonly type: 'refreshed' }
  /** A ticket for the session, or undefined if the request failed. */
  | { readonly type: 'ticket'; readonly connection: string; readonly ticket: string | undefined }
  | { readonly type: 'update'; readonly view: View }
  | { readonly type: 'stop' };

export type Action =
  | SubscriptionAction
  /** Open a socket and dispatch its events. */
  | { readonly type: 'connect' }
  /** Close the socket and ignore its further events. */
  | { readonly type: 'disconnect' }
  | { readonly type: 'request'; readonly request: SessionRequest; readonly number: number }
  /** Request a ticket that hands the browser's session over to this connection. */
  | { readonly type: 'ticket'; readonly connection: string }
  | { readonly type: 'state'; readonly state: LiveState; readonly ending: Ending | undefined };

/**
 * The state machine of the connection: takes inputs and returns actions. It has no timers, clock or random numbers of its
 * own, so that tests control all of them.
 *
 * Phases: `waiting` → `connecting` → `open` → `waiting`, perhaps with `requesting` before it, until `ended`.
 */
export class Machine {
  readonly #subscriptions: Subscriptions;
  readonly #sessionRequests: readonly SessionRequest[];
  readonly #random: () => number;
  #phase: 'waiting' | 'connecting' | 'requesting' | 'open' | 'ended' = 'waiting';
  #state: LiveState = 'connecting';
  #hasBeenLive = false;
  #isStale = false;
  #actions: Action[] = [];

  /** End of the wait, attempt or request; in `open`, the deadline of a ping. */
  #phaseEndsAtMs = Infinity;
  /** No connection attempt before this time: the server has asked for a delay. */
  #notBeforeMs = -Infinity;
  #attemptAtMs = -Infinity;
  #openedAtMs = -Infinity;
  #lastMessageAtMs = -Infinity;
  /** The server's name of the connection, if it accepts tickets. */
  #connection: string | undefined;
  /** When to disconnect, after a `reconnect` message. */
  #disconnectAtMs = Infinity;

  #failures = 0;
  #failedToOpen = 0;
  #requestCount = 0;
  #request: SessionRequest = 'checkSession';
  /** The server has closed with 4001, and the session has not been confirmed since. */
  #isSessionSuspect = false;
  #hasRefreshed = false;

  constructor(options: {
    readonly topics: Iterable<string>;
    readonly view: View;
    /** The session requests that the application provides. */
    readonly sessionRequests: readonly SessionRequest[];
    /** A number in [0, 1), as Math.random. */
    readonly random: () => number;
  }) {
    this.#subscriptions = new Subscriptions(options.topics, options.view, options.random);
    this.#sessionRequests = options.sessionRequests;
    this.#random = options.random;
  }

  get state(): LiveState {
    return this.#state;
  }

  get topics(): ReadonlyMap<string, Topic> {
    return this.#subscriptions.topics;
  }

  get results(): ReadonlyMap<string, ResultsTopic> {
    return this.#subscriptions.results;
  }

  /** When to dispatch `timer`, by the clock of `handle`; Infinity for never. */
  get timerAtMs(): number {
    if (this.#phase !== 'open') return this.#phaseEndsAtMs;
    const staleAtMs = this.#isAwaitingResponse ? Infinity : this.#lastMessageAtMs + staleAfterMs;
    return Math.min(this.#phaseEndsAtMs, staleAtMs, this.#disconnectAtMs, this.#subscriptions.timerAtMs);
  }

  /** @param nowMs by a monotonic clock. */
  handle(input: Input, nowMs: number): readonly Action[] {
    if (this.#hasEnded) return [];
    this.#dispatch(input, nowMs);
    this.#collectActions();
    const { ending } = this.#subscriptions;
    if (ending !== undefined && !this.#hasEnded) {
      this.#end(ending.isForbidden ? 'unauthorised' : 'closed', { reason: 'no topic is left' });
    }
    this.#updateState();
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #dispatch(input: Input, nowMs: number): void {
    const phase = this.#phase;
    switch (input.type) {
      case 'start':
        if (phase === 'waiting') this.#connect(nowMs);
        break;
      case 'open':
        if (phase === 'connecting') this.#onOpen(input.protocol, nowMs);
        break;
      case 'message':
        if (phase === 'open') this.#onMessage(input.data, nowMs);
        break;
      case 'close':
        if (phase === 'connecting' || phase === 'open') this.#onClose(input.code, input.reason, nowMs);
        break;
      case 'timer':
        this.#onTimer(nowMs);
        break;
      case 'wake':
        this.#onWake(nowMs);
        break;
      case 'response':
        if (phase === 'requesting' && input.number === this.#requestCount) {
          this.#onResponse(input.status, nowMs);
        }
        break;
      case 'refreshed':
        this.#requestTicket();
        break;
      case 'ticket':
        if (input.connection === this.#connection && input.ticket !== undefined) {
          this.#subscriptions.reauthenticate(input.ticket);
        }
        break;
      case 'update':
        this.#subscriptions.setView(input.view, nowMs);
        this.#subscriptions.onTimer(nowMs);
        break;
      case 'stop':
        this.#end('closed', { reason: 'closed by the client' });
    }
  }

  #connect(nowMs: number): void {
    this.#phase = 'connecting';
    this.#attemptAtMs = nowMs;
    this.#phaseEndsAtMs = nowMs + connectTimeoutMs;
    this.#actions.push({ type: 'connect' });
  }

  #onOpen(protocol: string, nowMs: number): void {
    if (protocol !== subprotocol) {
      this.#end('closed', { reason: `the server does not speak ${subprotocol}` });
      return;
    }
    this.#phase = 'open';
    this.#phaseEndsAtMs = Infinity;
    this.#openedAtMs = nowMs;
    this.#lastMessageAtMs = nowMs;
    this.#subscriptions.onOpen(nowMs);
  }

  #onMessage(data: string, nowMs: number): void {
    // Any frame shows that the connection works.
    this.#lastMessageAtMs = nowMs;
    this.#phaseEndsAtMs = Infinity;
    this.#isStale = false;
    const message = parseServerMessage(data);
    if (message === undefined) return;
    const afterMs = message.type === 'reconnect' ? asMs(message.afterMs) : undefined;
    if (afterMs !== undefined) {
      // The server still sends positions until it closes, so do not disconnect before.
      this.#disconnectAtMs = nowMs + afterMs;
      this.#notBeforeMs = this.#disconnectAtMs;
    }
    if (message.tickets === true) this.#connection = asString(message.connection);
    // Usually the page has refreshed the session, and the previous one has ended: the browser has the new cookie.
    if (message.type === 'session-ended') this.#requestTicket();
    this.#subscriptions.onMessage(message, nowMs);
    this.#subscriptions.onTimer(nowMs);
  }

  /** The connection was lost or could not be opened. */
  #onClose(code: number, reason: string, nowMs: number): void {
    const wasOpen = this.#phase === 'open';
    if (wasOpen && nowMs - this.#openedAtMs >= stableAfterMs) {
      this.#failures = 0;
      this.#isSessionSuspect = false;
      this.#hasRefreshed = false;
    }
    this.#failedToOpen = wasOpen ? 0 : this.#failedToOpen + 1;
    this.#disconnectAtMs = Infinity;
    this.#connection = undefined;
    this.#isStale = false;
    this.#subscriptions.onClose();
    if (!shouldReconnect(code)) {
      this.#phase = 'waiting';
      this.#end('closed', { code, reason });
      return;
    }
    if (code === closeCode.tooManyMessages) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + tooManyMessagesPauseMs);
    }
    if (code === closeCode.tooSlow) this.#subscriptions.lowerRate();
    // A browser cannot tell a rejected upgrade from a network failure. After 4001 the current cookie is tried before
    // anything is requested: another tab may have refreshed it.
    let mustCheck = this.#failedToOpen >= 2 || (this.#isSessionSuspect && !wasOpen);
    if (code === closeCode.sessionInvalid) {
      mustCheck = this.#isSessionSuspect;
      this.#isSessionSuspect = true;
    }
    if (mustCheck && this.#sessionRequests.includes('checkSession')) this.#send('checkSession', nowMs);
    else this.#scheduleRetry(nowMs);
  }

  /** Without a ticket nothing changes: the server closes with 4001 once the session has ended. */
  #requestTicket(): void {
    if (this.#connection !== undefined) this.#actions.push({ type: 'ticket', connection: this.#connection });
  }

  #scheduleRetry(nowMs: number): void {
    this.#phase = 'waiting';
    this.#phaseEndsAtMs = Math.max(nowMs + retryDelayMs(this.#failures, this.#random()), this.#notBeforeMs);
    this.#failures += 1;
  }

  #send(request: SessionRequest, nowMs: number): void {
    this.#phase = 'requesting';
    this.#phaseEndsAtMs = nowMs + responseTimeoutMs;
    this.#failedToOpen = 0;
    this.#request = request;
    this.#requestCount += 1;
    this.#actions.push({ type: 'request', request, number: this.#requestCount });
  }

  #onResponse(status: number | undefined, nowMs: number): void {
    const isOk = status !== undefined && status >= 200 && status < 300;
    if (this.#request === 'refreshSession') {
      // Only a definite refusal ends the client; after a network failure it retries.
      const isRefused = status === 400 || status === 401 || status === 403;
      this.#hasRefreshed = isOk;
      if (isRefused) this.#end('unauthorised', { reason: 'the session could not be refreshed' });
      else this.#scheduleRetry(nowMs);
    } else if (status !== 401 && status !== 403) {
      if (isOk) {
        this.#isSessionSuspect = false;
        this.#hasRefreshed = false;
      }
      this.#scheduleRetry(nowMs);
    } else if (this.#hasRefreshed || !this.#sessionRequests.includes('refreshSession')) {
      this.#end('unauthorised', { reason: 'the session is not valid' });
    } else {
      this.#send('refreshSession', nowMs);
    }
  }

  #onTimer(nowMs: number): void {
    const hasPhaseEnded = this.#phaseEndsAtMs <= nowMs;
    if (this.#phase === 'waiting') {
      if (hasPhaseEnded) this.#connect(nowMs);
    } else if (this.#phase === 'requesting') {
      if (hasPhaseEnded) this.#onResponse(undefined, nowMs);
    } else if (hasPhaseEnded || (this.#phase === 'open' && this.#disconnectAtMs <= nowMs)) {
      this.#actions.push({ type: 'disconnect' });
      this.#onClose(1006, 'no answer', nowMs);
    } else if (this.#phase === 'open') {
      if (!this.#isAwaitingResponse && this.#lastMessageAtMs + staleAfterMs <= nowMs) {
        this.#isStale = true;
        this.#ping(nowMs + responseTimeoutMs);
      }
      this.#subscriptions.onTimer(nowMs);
    }
  }

  #onWake(nowMs: number): void {
    if (this.#phase === 'waiting') {
      const earliestMs = Math.max(nowMs, this.#notBeforeMs, this.#attemptAtMs + attemptGapMs);
      this.#phaseEndsAtMs = Math.min(this.#phaseEndsAtMs, earliestMs);
      this.#onTimer(nowMs);
    } else if (this.#phase === 'open' && !this.#isAwaitingResponse) {
      // After sleep the socket may look open although the server closed it hours ago.
      this.#ping(nowMs + wakeResponseTimeoutMs);
    }
  }

  get #hasEnded(): boolean {
    return this.#phase === 'ended';
  }

  get #isAwaitingResponse(): boolean {
    return this.#phaseEndsAtMs !== Infinity;
  }

  #ping(deadlineMs: number): void {
    this.#phaseEndsAtMs = deadlineMs;
    this.#subscriptions.ping();
  }

  #end(state: 'unauthorised' | 'closed', ending: Ending): void {
    this.#collectActions();
    if (this.#phase === 'connecting' || this.#phase === 'open') this.#actions.push({ type: 'disconnect' });
    this.#subscriptions.onClose();
    this.#phase = 'ended';
    this.#phaseEndsAtMs = Infinity;
    this.#state = state;
    this.#actions.push({ type: 'state', state, ending });
  }

  #collectActions(): void {
    this.#actions.push(...this.#subscriptions.takeActions());
  }

  #updateState(): void {
    if (this.#hasEnded) return;
    const isLive = this.#phase === 'open' && this.#subscriptions.isLive;
    this.#hasBeenLive ||= isLive;
    const connected = this.#isStale ? 'stale' : 'live';
    const disconnected = this.#hasBeenLive ? 'reconnecting' : 'connecting';
    const state = isLive ? connected : disconnected;
    if (state === this.#state) return;
    this.#state = state;
    this.#actions.push({ type: 'state', state, ending: undefined });
  }
}
