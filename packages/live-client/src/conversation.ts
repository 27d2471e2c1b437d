import { lowestMaxHz } from '@app/shared/protocol';
import { readColumnOrder, readMs, readRows, readText, readTexts } from './server-message.ts';
import type { ServerMessage } from './server-message.ts';
import { drawRetryMs, updateGapMs } from './timing.ts';
import { Topic } from './topic.ts';
import type { Change, View } from './topic.ts';

/** An error of the server, in its words. With a topic and not temporary: this topic is not shown any more. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly topic?: string;
  readonly isTemporary: boolean;
}

export type ConversationAction =
  | { readonly do: 'send'; readonly text: string }
  | { readonly do: 'change'; readonly change: Change }
  | { readonly do: 'problem'; readonly problem: Problem };

interface Request {
  readonly type: 'subscribe' | 'update' | 'ping';
  readonly topic?: Topic;
  /** An `update` to another box. */
  readonly hasBox?: boolean;
}

/** What the server takes where no rate is asked for, in Hz: from here it is lowered. */
const usualHz = 4;

/**
 * What is said to the server and heard from it once a connection is open: the topics, their subscriptions and what is
 * held of them. It outlives connections, and resumes on the next where the last was lost.
 */
export class Conversation {
  readonly topics: ReadonlyMap<string, Topic>;
  readonly #random: () => number;
  #view: View;
  #isOpen = false;
  #isForbidden = false;
  #updatedAtMs = -Infinity;
  #updateAtMs = Infinity;
  #lastId = 0;
  readonly #requests = new Map<unknown, Request>();
  #columnOrder = readColumnOrder(undefined);
  #actions: ConversationAction[] = [];

  constructor(topics: Iterable<string>, view: View, random: () => number) {
    this.topics = new Map([...topics].map((name) => [name, new Topic(name)]));
    this.#view = view;
    this.#random = random;
  }

  /** Whether every topic is subscribed, but for those that are not to be had. */
  get isLive(): boolean {
    return this.#isOpen && this.#each().every(({ status }) => status === 'subscribed' || status === 'ended');
  }

  /** Set once no topic is left: whether one of them was forbidden. */
  get ending(): { readonly isForbidden: boolean } | undefined {
    const all = this.#each();
    return all.length > 0 && all.every(({ status }) => status === 'ended')
      ? { isForbidden: this.#isForbidden }
      : undefined;
  }

  /** When `continueAt` has something to do. */
  get dueAtMs(): number {
    return this.#isOpen
      ? Math.min(this.#updateAtMs, ...this.#each().map(({ retryAtMs }) => retryAtMs))
      : Infinity;
  }

  /** What has to be done, since the last time. */
  takeActions(): readonly ConversationAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  begin(nowMs: number): void {
    this.#isOpen = true;
    this.#columnOrder = readColumnOrder(undefined);
    for (const topic of this.topics.values()) {
      // A server that has asked for patience meant more than the one connection.
      if (topic.status === 'wanted' && (topic.retryAtMs === Infinity || topic.retryAtMs <= nowMs)) {
        this.#subscribe(topic);
      }
    }
  }

  end(): void {
    this.#isOpen = false;
    this.#requests.clear();
    this.#updateAtMs = Infinity;
    for (const topic of this.topics.values()) if (topic.status !== 'ended') topic.status = 'wanted';
  }

  /** Does what has become due: subscribes again after a temporary error, tells the newest view. */
  continueAt(nowMs: number): void {
    if (!this.#isOpen) return;
    for (const topic of this.topics.values()) if (topic.retryAtMs <= nowMs) this.#subscribe(topic);
    if (this.#updateAtMs > nowMs) return;
    this.#updateAtMs = Infinity;
    for (const topic of this.topics.values()) {
      if (topic.status !== 'subscribed' || topic.toldView === this.#view) continue;
      this.#updatedAtMs = nowMs;
      const { maxHz, bbox = null } = this.#view;
      const hasBox = topic.toldView === undefined || (topic.toldView.bbox ?? null) !== bbox;
      if (hasBox) topic.askForBox();
      topic.toldView = this.#view;
      this.#request({ type: 'update', topic, hasBox }, { maxHz, bbox });
    }
  }

  /** What is left out stays as it is. */
  changeView(view: View, nowMs: number): void {
    const { maxHz = this.#view.maxHz, bbox = this.#view.bbox } = view;
    this.#view = { maxHz, bbox };
    this.#scheduleUpdate(nowMs);
  }

  /** For a client that was too slow: half the rate, until another is asked for. */
  lowerRate(): void {
    const maxHz = Math.max(lowestMaxHz, (this.#view.maxHz ?? usualHz) / 2);
    this.#view = { ...this.#view, maxHz };
  }

  ping(): void {
    this.#request({ type: 'ping' }, {});
  }

  /** Types and fields that are not known are passed over. */
  hear(message: ServerMessage, nowMs: number): void {
    const request = this.#requests.get(message.id);
    this.#requests.delete(message.id);
    if (request?.hasBox === true) request.topic?.noteBoxAnswered();
    if (message.type === 'hello') this.#columnOrder = readColumnOrder(message.columns);
    else if (message.type === 'error') this.#hearError(message, request, nowMs);
    else if (message.type === 'heartbeat') this.#only()?.noteCursor(readText(message.cursor));
    else {
      const topic = this.topics.get(readText(message.topic) ?? '');
      if (topic !== undefined && topic.status !== 'ended') this.#hearOf(topic, message, nowMs);
    }
  }

  #hearOf(topic: Topic, message: ServerMessage, nowMs: number): void {
    switch (message.type) {
      case 'subscribed':
        topic.noteSubscribed(readText(message.epoch), message.recovered === true);
        if (topic.toldView !== this.#view) this.#scheduleUpdate(nowMs);
        break;
      case 'snapshot':
        this.#show(topic.applySnapshot(message.part, this.#rowsOf(message), message.last === true));
        topic.noteCursor(readText(message.cursor));
        break;
      case 'positions':
        this.#show(topic.applyPositions(this.#rowsOf(message)));
        topic.noteCursor(readText(message.cursor));
        break;
      case 'devices':
        topic.voidCursor();
        this.#show(topic.forget(readTexts(message.removed)));
        break;
      case 'hidden':
        this.#show(topic.forget(readTexts(message.devices)));
        break;
      case 'resync':
        topic.expectSnapshot();
        break;
      case 'unsubscribed': {
        const code = readText(message.reason) ?? 'unsubscribed';
        this.#report({ code, message: 'the server has ended the subscription', isTemporary: false }, topic);
        this.#give(topic, code);
      }
    }
  }

  #hearError(message: ServerMessage, request: Request | undefined, nowMs: number): void {
    const topic = request?.topic;
    const isTemporary = message.temporary === true;
    const code = readText(message.code) ?? 'unknown';
    this.#report({ code, message: readText(message.message) ?? code, isTemporary }, topic);
    if (topic === undefined || topic.status === 'ended') return;
    const retryAfterMs = readMs(message.retryAfterMs) ?? 0;
    if (request?.type === 'update' && isTemporary) {
      topic.toldView = undefined;
      this.#scheduleUpdate(nowMs + retryAfterMs);
    } else if (request?.type === 'subscribe' && isTemporary) {
      topic.status = 'wanted';
      topic.retryAtMs = nowMs + retryAfterMs + drawRetryMs(topic.failures, this.#random());
      topic.failures += 1;
    } else if (request?.type === 'subscribe') {
      this.#give(topic, code);
    }
  }

  /** Gives a topic up for good. Who may not see an event any more does not keep it on the screen. */
  #give(topic: Topic, code: string): void {
    topic.status = 'ended';
    topic.retryAtMs = Infinity;
    this.#isForbidden ||= code === 'forbidden';
    this.#show(topic.forget(topic.held.keys()));
  }

  #subscribe(topic: Topic): void {
    topic.status = 'asked';
    topic.retryAtMs = Infinity;
    topic.toldView = this.#view;
    const { maxHz, bbox } = this.#view;
    this.#request({ type: 'subscribe', topic }, { maxHz, bbox: bbox ?? undefined, ...topic.resumePoint });
  }

  #scheduleUpdate(fromMs: number): void {
    this.#updateAtMs = Math.max(fromMs, this.#updatedAtMs + updateGapMs);
  }

  #request(request: Request, fields: object): void {
    this.#lastId += 1;
    this.#requests.set(this.#lastId, request);
    const message = { type: request.type, id: this.#lastId, topic: request.topic?.name, ...fields };
    this.#actions.push({ do: 'send', text: JSON.stringify(message) });
  }

  #show(change: Change): void {
    if (change.positions.length + change.removed.length > 0) this.#actions.push({ do: 'change', change });
  }

  #report(problem: Problem, topic: Topic | undefined): void {
    this.#actions.push({
      do: 'problem',
      problem: topic === undefined ? problem : { ...problem, topic: topic.name },
    });
  }

  #rowsOf(message: ServerMessage): ReturnType<typeof readRows> {
    return readRows(message.rows, this.#columnOrder);
  }

  #each(): readonly Topic[] {
    return [...this.topics.values()];
  }

  /** A heartbeat's cursor names no topic: it can only be used where there is but one. */
  #only(): Topic | undefined {
    const all = this.#each();
    return all.length === 1 && all[0]?.status === 'subscribed' ? all[0] : undefined;
  }
}
