import type { Recipient } from '../subscriptions/subscription.ts';
import { resultsReset } from './encode-results.ts';
import type { EventResults } from './event-results.ts';
import type { ResultsView } from './result-rows.ts';

const nothing: readonly Uint8Array[] = [];

/**
 * One client's authorised subscription to the results of an event. It remembers only what the client has been sent: a
 * client that lags gets the newest rows once it has read on.
 */
export class ResultsSubscription {
  readonly eventId: string;
  readonly topic: string;
  readonly recipient: Recipient;
  #view: ResultsView;
  /** The state that the client holds; undefined if it holds nothing. */
  #state: number | undefined;
  /** What is being sent, shared with other clients, how much of it has been, and the state to which it leads. */
  #frames = nothing;
  #framesSent = 0;
  #nextState = 0;
  #needsReset = false;

  /** @param state that the client holds; undefined if it has been told to forget what it holds */
  constructor(options: {
    readonly eventId: string;
    readonly topic: string;
    readonly recipient: Recipient;
    readonly view: ResultsView;
    readonly state: number | undefined;
  }) {
    this.eventId = options.eventId;
    this.topic = options.topic;
    this.recipient = options.recipient;
    this.#view = options.view;
    this.#state = options.state;
  }

  /** After a change everything is sent again. Returns whether it has changed. */
  setView(view: ResultsView): boolean {
    if (view === this.#view) return false;
    this.#view = view;
    this.#frames = nothing;
    this.#framesSent = 0;
    this.#needsReset = true;
    return true;
  }

  /** Writes what the client lacks. @returns false if the connection is not writable before that is done */
  flush(results: EventResults, nowMs: number): boolean {
    for (;;) {
      while (this.#framesSent < this.#frames.length) {
        const sent = this.recipient.writeFrames(this.#frames.slice(this.#framesSent));
        if (sent === 0) return false;
        this.#framesSent += sent;
        if (this.#framesSent === this.#frames.length) this.#state = this.#nextState;
      }
      if (this.#state !== undefined && !results.reaches(this.#state)) this.#needsReset = true;
      if (this.#needsReset) {
        if (this.recipient.writeFrames([resultsReset(this.topic)]) === 0) return false;
        this.#needsReset = false;
        this.#state = undefined;
      }
      if (this.#state === results.state) return true;
      const { state, frames } =
        this.#state === undefined
          ? results.snapshot(this.#view, nowMs)
          : results.changesSince(this.#state, this.#view);
      this.#frames = frames;
      this.#framesSent = 0;
      this.#nextState = state;
    }
  }
}
