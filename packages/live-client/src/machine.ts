import { closeCode, shouldReconnect, subprotocol } from '@app/shared/protocol';
import { Conversation } from './conversation.ts';
import type { ConversationAction } from './conversation.ts';
import { readMs, readServerMessage } from './server-message.ts';
import {
  answerLimitMs,
  attemptGapMs,
  drawRetryMs,
  openLimitMs,
  silenceMs,
  stableAfterMs,
  tooManyMessagesPauseMs,
  wokenAnswerLimitMs,
} from './timing.ts';
import type { Topic, View } from './topic.ts';

/**
 * `connecting` until it is live for the first time; `live`: every topic is subscribed; `stale`: still connected, but
 * nothing was heard for 35 s; `reconnecting`; and the two ends: `unauthorised`, the session or the permission is gone,
 * and `closed`.
 */
export type LiveState = 'connecting' | 'live' | 'stale' | 'reconnecting' | 'unauthorised' | 'closed';

/** Why a client has stopped. `code` is the close code where the server closed. */
export interface Ending {
  readonly code?: number;
  readonly reason: string;
}

/** What the page can be asked: `checkSession`, who it is logged in as, and `refreshSession`, to log in anew. */
export type Question = 'checkSession' | 'refreshSession';

export type Input =
  | { readonly is: 'started' }
  | { readonly is: 'opened'; readonly protocol: string }
  | { readonly is: 'heard'; readonly text: string }
  | { readonly is: 'closed'; readonly code: number; readonly reason: string }
  /** The moment of `dueAtMs` has come. Too early does no harm. */
  | { readonly is: 'due' }
  /** The network is back, or the page is seen again. */
  | { readonly is: 'woken' }
  /** To a question, by its number: an HTTP status, or undefined where there was no answer. */
  | { readonly is: 'answered'; readonly number: number; readonly status: number | undefined }
  | { readonly is: 'viewed'; readonly view: View }
  | { readonly is: 'stopped' };

export type Action =
  | ConversationAction
  /** Open a socket and report what becomes of it. */
  | { readonly do: 'open' }
  /** Close the socket and report nothing more of it. */
  | { readonly do: 'drop' }
  | { readonly do: 'ask'; readonly question: Question; readonly number: number }
  | { readonly do: 'state'; readonly state: LiveState; readonly ending: Ending | undefined };

/**
 * All decisions about the connection: told what happens, it says what to do. It waits for nothing, reads no clock and
 * draws no random number by itself, so that a test can lead it through any history.
 *
 * `waiting` → `opening` → `open`, and back to `waiting`, perhaps by way of `asking` the page; until it is `over`.
 */
export class Machine {
  readonly #conversation: Conversation;
  readonly #canAsk: readonly Question[];
  readonly #random: () => number;
  #phase: 'waiting' | 'opening' | 'asking' | 'open' | 'over' = 'waiting';
  #state: LiveState = 'connecting';
  #hasBeenLive = false;
  #isStale = false;
  #actions: Action[] = [];

  /** When the phase ends by itself: the wait, the attempt, the question; in `open`, an unanswered ping. */
  #phaseEndsAtMs = Infinity;
  /** No attempt before: the server's word. */
  #notBeforeMs = -Infinity;
  #attemptAtMs = -Infinity;
  #openedAtMs = -Infinity;
  #heardAtMs = -Infinity;
  /** When the server wants to be left, after `reconnect`. */
  #leaveAtMs = Infinity;

  #failures = 0;
  #neverOpened = 0;
  #questions = 0;
  #question: Question = 'checkSession';
  /** The server has closed with 4001, and nothing has proved the session since. */
  #isSuspect = false;
  #hasRefreshed = false;

  constructor(options: {
    readonly topics: Iterable<string>;
    readonly view: View;
    readonly canAsk: readonly Question[];
    /** 0 to below 1, as Math.random. */
    readonly random: () => number;
  }) {
    this.#conversation = new Conversation(options.topics, options.view, options.random);
    this.#canAsk = options.canAsk;
    this.#random = options.random;
  }

  get state(): LiveState {
    return this.#state;
  }

  get topics(): ReadonlyMap<string, Topic> {
    return this.#conversation.topics;
  }

  /** When to come with `due`, by the clock of `handle`; Infinity: never. */
  get dueAtMs(): number {
    if (this.#phase !== 'open') return this.#phaseEndsAtMs;
    const silentAtMs = this.#isAwaitingAnswer ? Infinity : this.#heardAtMs + silenceMs;
    return Math.min(this.#phaseEndsAtMs, silentAtMs, this.#leaveAtMs, this.#conversation.dueAtMs);
  }

  /** @param nowMs of a clock that never goes back. */
  handle(input: Input, nowMs: number): readonly Action[] {
    if (this.#isOver) return [];
    this.#take(input, nowMs);
    this.#collect();
    const { ending } = this.#conversation;
    if (ending !== undefined && !this.#isOver) {
      this.#finish(ending.isForbidden ? 'unauthorised' : 'closed', { reason: 'no topic is left' });
    }
    this.#tellState();
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  #take(input: Input, nowMs: number): void {
    switch (input.is) {
      case 'started':
        if (this.#phase === 'waiting') this.#attempt(nowMs);
        break;
      case 'opened':
        if (this.#phase === 'opening') this.#open(input.protocol, nowMs);
        break;
      case 'heard':
        if (this.#phase === 'open') this.#hear(input.text, nowMs);
        break;
      case 'closed':
        if (this.#phase === 'opening' || this.#phase === 'open') this.#lose(input.code, input.reason, nowMs);
        break;
      case 'due':
        this.#continue(nowMs);
        break;
      case 'woken':
        this.#wake(nowMs);
        break;
      case 'answered':
        if (this.#phase === 'asking' && input.number === this.#questions) this.#learn(input.status, nowMs);
        break;
      case 'viewed':
        this.#conversation.changeView(input.view, nowMs);
        this.#conversation.continueAt(nowMs);
        break;
      case 'stopped':
        this.#finish('closed', { reason: 'closed by this side' });
    }
  }

  #attempt(nowMs: number): void {
    this.#phase = 'opening';
    this.#attemptAtMs = nowMs;
    this.#phaseEndsAtMs = nowMs + openLimitMs;
    this.#actions.push({ do: 'open' });
  }

  #open(protocol: string, nowMs: number): void {
    if (protocol !== subprotocol) {
      this.#finish('closed', { reason: `the server does not speak ${subprotocol}` });
      return;
    }
    this.#phase = 'open';
    this.#phaseEndsAtMs = Infinity;
    this.#openedAtMs = nowMs;
    this.#heardAtMs = nowMs;
    this.#conversation.begin(nowMs);
  }

  #hear(text: string, nowMs: number): void {
    // Whatever it is, the server lives.
    this.#heardAtMs = nowMs;
    this.#phaseEndsAtMs = Infinity;
    this.#isStale = false;
    const message = readServerMessage(text);
    if (message === undefined) return;
    const afterMs = message.type === 'reconnect' ? readMs(message.afterMs) : undefined;
    if (afterMs !== undefined) {
      // What still comes until then is worth having, so it is the server that closes, or the moment.
      this.#leaveAtMs = nowMs + afterMs;
      this.#notBeforeMs = this.#leaveAtMs;
    }
    this.#conversation.hear(message, nowMs);
    this.#conversation.continueAt(nowMs);
  }

  /** The connection is gone, or was never there. */
  #lose(code: number, reason: string, nowMs: number): void {
    const hadOpened = this.#phase === 'open';
    if (hadOpened && nowMs - this.#openedAtMs >= stableAfterMs) {
      this.#failures = 0;
      this.#isSuspect = false;
      this.#hasRefreshed = false;
    }
    this.#neverOpened = hadOpened ? 0 : this.#neverOpened + 1;
    this.#leaveAtMs = Infinity;
    this.#isStale = false;
    this.#conversation.end();
    if (!shouldReconnect(code)) {
      this.#phase = 'waiting';
      this.#finish('closed', { code, reason });
      return;
    }
    if (code === closeCode.tooManyMessages) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + tooManyMessagesPauseMs);
    }
    if (code === closeCode.tooSlow) this.#conversation.lowerRate();
    // A browser does not tell a refused upgrade from a dead network. And after 4001 the cookie may already be another
    // one, refreshed by another tab: it is tried before anything is asked.
    let isDoubtful = this.#neverOpened >= 2 || (this.#isSuspect && !hadOpened);
    if (code === closeCode.sessionInvalid) {
      isDoubtful = this.#isSuspect;
      this.#isSuspect = true;
    }
    if (isDoubtful && this.#canAsk.includes('checkSession')) this.#ask('checkSession', nowMs);
    else this.#wait(nowMs);
  }

  #wait(nowMs: number): void {
    this.#phase = 'waiting';
    this.#phaseEndsAtMs = Math.max(nowMs + drawRetryMs(this.#failures, this.#random()), this.#notBeforeMs);
    this.#failures += 1;
  }

  #ask(question: Question, nowMs: number): void {
    this.#phase = 'asking';
    this.#phaseEndsAtMs = nowMs + answerLimitMs;
    this.#neverOpened = 0;
    this.#question = question;
    this.#questions += 1;
    this.#actions.push({ do: 'ask', question, number: this.#questions });
  }

  #learn(status: number | undefined, nowMs: number): void {
    const isGood = status !== undefined && status >= 200 && status < 300;
    if (this.#question === 'refreshSession') {
      // Only a clear no ends it: a network that is down refreshes nothing either, and is tried again.
      const isRefused = status === 400 || status === 401 || status === 403;
      this.#hasRefreshed = isGood;
      if (isRefused) this.#finish('unauthorised', { reason: 'the session could not be refreshed' });
      else this.#wait(nowMs);
    } else if (status !== 401 && status !== 403) {
      if (isGood) {
        this.#isSuspect = false;
        this.#hasRefreshed = false;
      }
      this.#wait(nowMs);
    } else if (this.#hasRefreshed || !this.#canAsk.includes('refreshSession')) {
      this.#finish('unauthorised', { reason: 'the session is not valid' });
    } else {
      this.#ask('refreshSession', nowMs);
    }
  }

  #continue(nowMs: number): void {
    const hasPhaseEnded = this.#phaseEndsAtMs <= nowMs;
    if (this.#phase === 'waiting') {
      if (hasPhaseEnded) this.#attempt(nowMs);
    } else if (this.#phase === 'asking') {
      if (hasPhaseEnded) this.#learn(undefined, nowMs);
    } else if (hasPhaseEnded || (this.#phase === 'open' && this.#leaveAtMs <= nowMs)) {
      this.#actions.push({ do: 'drop' });
      this.#lose(1006, 'no answer', nowMs);
    } else if (this.#phase === 'open') {
      if (!this.#isAwaitingAnswer && this.#heardAtMs + silenceMs <= nowMs) {
        this.#isStale = true;
        this.#probe(nowMs + answerLimitMs);
      }
      this.#conversation.continueAt(nowMs);
    }
  }

  #wake(nowMs: number): void {
    if (this.#phase === 'waiting') {
      const earliestMs = Math.max(nowMs, this.#notBeforeMs, this.#attemptAtMs + attemptGapMs);
      this.#phaseEndsAtMs = Math.min(this.#phaseEndsAtMs, earliestMs);
      this.#continue(nowMs);
    } else if (this.#phase === 'open' && !this.#isAwaitingAnswer) {
      // A laptop that slept may hold a socket that the other side gave up hours ago.
      this.#probe(nowMs + wokenAnswerLimitMs);
    }
  }

  get #isOver(): boolean {
    return this.#phase === 'over';
  }

  get #isAwaitingAnswer(): boolean {
    return this.#phaseEndsAtMs !== Infinity;
  }

  #probe(answerByMs: number): void {
    this.#phaseEndsAtMs = answerByMs;
    this.#conversation.ping();
  }

  #finish(state: 'unauthorised' | 'closed', ending: Ending): void {
    this.#collect();
    if (this.#phase === 'opening' || this.#phase === 'open') this.#actions.push({ do: 'drop' });
    this.#conversation.end();
    this.#phase = 'over';
    this.#phaseEndsAtMs = Infinity;
    this.#state = state;
    this.#actions.push({ do: 'state', state, ending });
  }

  #collect(): void {
    this.#actions.push(...this.#conversation.takeActions());
  }

  #tellState(): void {
    if (this.#isOver) return;
    const isLive = this.#phase === 'open' && this.#conversation.isLive;
    this.#hasBeenLive ||= isLive;
    const connected = this.#isStale ? 'stale' : 'live';
    const lost = this.#hasBeenLive ? 'reconnecting' : 'connecting';
    const state = isLive ? connected : lost;
    if (state === this.#state) return;
    this.#state = state;
    this.#actions.push({ do: 'state', state, ending: undefined });
  }
}
