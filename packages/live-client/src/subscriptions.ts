import { lowestMaxHz } from '@app/shared/protocol';
import { ResultsTopic, type ResultsChange } from './results-topic.ts';
import { decodeColumnOrder, asMs, decodeRows, asString, asStrings } from './server-message.ts';
import type { ServerMessage } from './server-message.ts';
import { retryDelayMs, updateGapMs } from './timing.ts';
import { Topic } from './topic.ts';
import type { Change, View } from './topic.ts';

/** An error reported by the server. With a topic and not temporary, the topic has ended. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly topic?: string;
  readonly isTemporary: boolean;
}

export type SubscriptionAction =
  | { readonly type: 'send'; readonly data: string }
  | { readonly type: 'change'; readonly change: Change }
  | { readonly type: 'results'; readonly change: ResultsChange }
  | { readonly type: 'problem'; readonly problem: Problem };

type AnyTopic = Topic | ResultsTopic;

interface Request {
  readonly type: 'subscribe' | 'update' | 'ping' | 'reauthenticate';
  readonly topic?: AnyTopic;
  /** An `update` with another box. */
  readonly changesBox?: boolean;
}

/** The server's rate if none is requested, in Hz. */
const defaultHz = 4;

/** The topics with their subscriptions, positions and results. Kept across connections, so that subscriptions resume. */
export class Subscriptions {
  /** Of positions. */
  readonly topics: ReadonlyMap<string, Topic>;
  readonly results: ReadonlyMap<string, ResultsTopic>;
  readonly #random: () => number;
  #view: View;
  #isOpen = false;
  #isForbidden = false;
  #updatedAtMs = -Infinity;
  #updateAtMs = Infinity;
  #lastId = 0;
  readonly #requests = new Map<unknown, Request>();
  #columnOrder = decodeColumnOrder(undefined);
  #actions: SubscriptionAction[] = [];

  constructor(topics: Iterable<string>, view: View, random: () => number) {
    const names = [...topics];
    this.results = new Map(names.filter(isResults).map((name) => [name, new ResultsTopic(name)]));
    this.topics = new Map(names.filter((name) => !isResults(name)).map((name) => [name, new Topic(name)]));
    this.#view = view;
    this.#random = random;
  }

  /** Whether every topic is subscribed, except ended ones. */
  get isLive(): boolean {
    return (
      this.#isOpen && this.#topicList().every(({ status }) => status === 'subscribed' || status === 'ended')
    );
  }

  /** Defined once every topic has ended; whether one of them was forbidden. */
  get ending(): { readonly isForbidden: boolean } | undefined {
    const topics = this.#topicList();
    return topics.length > 0 && topics.every(({ status }) => status === 'ended')
      ? { isForbidden: this.#isForbidden }
      : undefined;
  }

  /** When to call `onTimer`. */
  get timerAtMs(): number {
    return this.#isOpen
      ? Math.min(this.#updateAtMs, ...this.#topicList().map(({ retryAtMs }) => retryAtMs))
      : Infinity;
  }

  /** Returns and clears the actions since the last call. */
  takeActions(): readonly SubscriptionAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  onOpen(nowMs: number): void {
    this.#isOpen = true;
    this.#columnOrder = decodeColumnOrder(undefined);
    for (const topic of this.#topicList()) {
      // `retryAfterMs` of an error also applies across connections.
      if (topic.status === 'pending' && (topic.retryAtMs === Infinity || topic.retryAtMs <= nowMs)) {
        this.#subscribe(topic);
      }
    }
  }

  onClose(): void {
    this.#isOpen = false;
    this.#requests.clear();
    this.#updateAtMs = Infinity;
    for (const topic of this.#topicList()) if (topic.status !== 'ended') topic.status = 'pending';
  }

  /** Sends due requests: subscribes again after a temporary error, and updates to the newest view. */
  onTimer(nowMs: number): void {
    if (!this.#isOpen) return;
    for (const topic of this.#topicList()) if (topic.retryAtMs <= nowMs) this.#subscribe(topic);
    if (this.#updateAtMs > nowMs) return;
    this.#updateAtMs = Infinity;
    for (const topic of this.topics.values()) {
      if (topic.status !== 'subscribed' || topic.sentView === this.#view) continue;
      this.#updatedAtMs = nowMs;
      const { maxHz, bbox = null } = this.#view;
      const changesBox = topic.sentView === undefined || (topic.sentView.bbox ?? null) !== bbox;
      if (changesBox) topic.onBoxRequested();
      topic.sentView = this.#view;
      this.#sendRequest({ type: 'update', topic, changesBox }, { maxHz, bbox });
    }
  }

  /** Omitted properties stay unchanged. */
  setView(view: View, nowMs: number): void {
    const { maxHz = this.#view.maxHz, bbox = this.#view.bbox } = view;
    this.#view = { maxHz, bbox };
    this.#scheduleUpdate(nowMs);
  }

  /** Halves the rate after a close for being too slow. */
  lowerRate(): void {
    const maxHz = Math.max(lowestMaxHz, (this.#view.maxHz ?? defaultHz) / 2);
    this.#view = { ...this.#view, maxHz };
  }

  ping(): void {
    this.#sendRequest({ type: 'ping' }, {});
  }

  reauthenticate(ticket: string): void {
    this.#sendRequest({ type: 'reauthenticate' }, { ticket });
  }

  /** Ignores unknown types and fields. */
  onMessage(message: ServerMessage, nowMs: number): void {
    const request = this.#requests.get(message.id);
    this.#requests.delete(message.id);
    if (request?.changesBox === true && request.topic instanceof Topic) request.topic.onBoxConfirmed();
    if (message.type === 'hello') this.#columnOrder = decodeColumnOrder(message.columns);
    else if (message.type === 'error') this.#onError(message, request, nowMs);
    else if (message.type === 'heartbeat') this.#onlyTopic()?.setCursor(asString(message.cursor));
    else {
      const name = asString(message.topic) ?? '';
      const topic = this.topics.get(name) ?? this.results.get(name);
      if (topic === undefined || topic.status === 'ended') return;
      if (message.type === 'unsubscribed') this.#onUnsubscribed(topic, message);
      else if (topic instanceof Topic) this.#onTopicMessage(topic, message, nowMs);
      else if (message.type === 'results') {
        topic.status = 'subscribed';
        topic.failures = 0;
        this.#actions.push({ type: 'results', change: topic.apply(message) });
      }
    }
  }

  #onTopicMessage(topic: Topic, message: ServerMessage, nowMs: number): void {
    switch (message.type) {
      case 'subscribed':
        topic.onSubscribed(asString(message.epoch), message.recovered === true);
        if (topic.sentView !== this.#view) this.#scheduleUpdate(nowMs);
        break;
      case 'snapshot':
        this.#addChange(topic.applySnapshot(message.part, this.#decodeRows(message), message.last === true));
        topic.setCursor(asString(message.cursor));
        break;
      case 'positions':
        this.#addChange(topic.applyPositions(this.#decodeRows(message)));
        topic.setCursor(asString(message.cursor));
        break;
      case 'devices':
        topic.invalidateCursor();
        this.#addChange(topic.removeDevices(asStrings(message.removed)));
        break;
      case 'hidden':
        this.#addChange(topic.removeDevices(asStrings(message.devices)));
        break;
      case 'resync':
        topic.expectSnapshot();
    }
  }

  #onUnsubscribed(topic: AnyTopic, message: ServerMessage): void {
    const code = asString(message.reason) ?? 'unsubscribed';
    this.#addProblem({ code, message: 'the server has ended the subscription', isTemporary: false }, topic);
    this.#endTopic(topic, code);
  }

  #onError(message: ServerMessage, request: Request | undefined, nowMs: number): void {
    const topic = request?.topic;
    const isTemporary = message.temporary === true;
    const code = asString(message.code) ?? 'unknown';
    this.#addProblem({ code, message: asString(message.message) ?? code, isTemporary }, topic);
    if (topic === undefined || topic.status === 'ended') return;
    const retryAfterMs = asMs(message.retryAfterMs) ?? 0;
    if (request?.type === 'update' && isTemporary && topic instanceof Topic) {
      topic.sentView = undefined;
      this.#scheduleUpdate(nowMs + retryAfterMs);
    } else if (request?.type === 'subscribe' && isTemporary) {
      topic.status = 'pending';
      topic.retryAtMs = nowMs + retryAfterMs + retryDelayMs(topic.failures, this.#random());
      topic.failures += 1;
    } else if (request?.type === 'subscribe') {
      this.#endTopic(topic, code);
    }
  }

  /** Ends a topic for good and removes what it holds, which the user may no longer be allowed to see. */
  #endTopic(topic: AnyTopic, code: string): void {
    topic.status = 'ended';
    topic.retryAtMs = Infinity;
    this.#isForbidden ||= code === 'forbidden';
    if (topic instanceof Topic) this.#addChange(topic.removeDevices(topic.positions.keys()));
    else this.#actions.push({ type: 'results', change: topic.forget() });
  }

  #subscribe(topic: AnyTopic): void {
    topic.status = 'requested';
    topic.retryAtMs = Infinity;
    if (topic instanceof ResultsTopic) {
      this.#sendRequest({ type: 'subscribe', topic }, { cursor: topic.cursor });
      return;
    }
    topic.sentView = this.#view;
    const { maxHz, bbox } = this.#view;
    this.#sendRequest({ type: 'subscribe', topic }, { maxHz, bbox: bbox ?? undefined, ...topic.resumePoint });
  }

  #scheduleUpdate(fromMs: number): void {
    this.#updateAtMs = Math.max(fromMs, this.#updatedAtMs + updateGapMs);
  }

  #sendRequest(request: Request, fields: object): void {
    this.#lastId += 1;
    this.#requests.set(this.#lastId, request);
    const message = { type: request.type, id: this.#lastId, topic: request.topic?.name, ...fields };
    this.#actions.push({ type: 'send', data: JSON.stringify(message) });
  }

  #addChange(change: Change): void {
    if (change.positions.length + change.removed.length > 0) this.#actions.push({ type: 'change', change });
  }

  #addProblem(problem: Problem, topic: AnyTopic | undefined): void {
    this.#actions.push({
      type: 'problem',
      problem: topic === undefined ? problem : { ...problem, topic: topic.name },
    });
  }

  #decodeRows(message: ServerMessage): ReturnType<typeof decodeRows> {
    return decodeRows(message.rows, this.#columnOrder);
  }

  #topicList(): readonly AnyTopic[] {
    return [...this.topics.values(), ...this.results.values()];
  }

  /** The only topic, for a heartbeat's cursor, which does not name a topic. */
  #onlyTopic(): Topic | undefined {
    const [topic, ...others] = this.#topicList();
    return others.length === 0 && topic instanceof Topic && topic.status === 'subscribed' ? topic : undefined;
  }
}

function isResults(topic: string): boolean {
  return topic.startsWith('results:');
}
