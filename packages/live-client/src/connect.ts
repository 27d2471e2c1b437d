import { subprotocol } from '@app/shared/protocol';
import type { Bbox } from '@app/shared/messages';
import { ChangeFeed } from './change-feed.ts';
import type { Problem } from './conversation.ts';
import { Machine } from './machine.ts';
import type { Action, Ending, Input, LiveState, Question } from './machine.ts';
import type { LivePosition } from './server-message.ts';
import { answerLimitMs } from './timing.ts';
import type { Change, View } from './topic.ts';

export type { Bbox, Change, Ending, LivePosition, LiveState, Problem, View };

/** As much of a WebSocket as is used: the browser's, Node's and that of `ws` fit. */
export interface LiveSocket {
  readonly protocol: string;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  send(text: string): void;
  close(): void;
}

export interface ConnectOptions extends View {
  /** `wss://…` of the gateway. */
  readonly url: string;
  /** `event:<uuid>`, one or several. */
  readonly topics: readonly string[];
  /**
   * Asks who is logged in, usually `(signal) => fetch('/users/me', { signal })`. It is called where the gateway may
   * have refused the session, which a browser cannot see. 401 and 403 stop the client, everything else lets it go on
   * trying. Without it the client tries for ever.
   */
  readonly checkSession?: ((signal: AbortSignal) => Promise<{ readonly status: number }>) | undefined;
  /** Renews a session of which `checkSession` said 401. A 2xx is taken for success. */
  readonly refreshSession?: ((signal: AbortSignal) => Promise<{ readonly status: number }>) | undefined;
  /** After each change of `state`; the ending comes with `unauthorised` and `closed`. */
  readonly onState?: ((state: LiveState, ending: Ending | undefined) => void) | undefined;
  /** After `positions` has changed. */
  readonly onChange?: ((change: Change) => void) | undefined;
  readonly onProblem?: ((problem: Problem) => void) | undefined;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** For Node, where a cookie has to be sent by hand; `new WebSocket(url, protocol)` unless given. */
  readonly openSocket?: ((url: string, protocol: string) => LiveSocket) | undefined;
}

export interface LiveClient extends AsyncIterable<Change>, Disposable {
  readonly state: LiveState;
  /** The newest position of each device that is shown, by topic and device; always current, not a copy. */
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, LivePosition>>;
  /** Changes what is wanted; what is left out stays. `bbox: null` shows everything again. */
  update(view: View): void;
  /** Ends it for good, and every iterator with it. */
  close(): void;
}

/**
 * Connects, subscribes, and keeps `positions` current until it is closed or refused: it reconnects by itself, and
 * resumes where it was. Iterating begins with what is held at that moment; a slow reader gets each device's newest
 * position and not those in between.
 *
 * @throws what `WebSocket` throws for a URL that is none. Nothing later: errors are states and problems.
 */
export function connect(options: ConnectOptions): LiveClient {
  const { openSocket = openWebSocket } = options;
  const questions = { checkSession: options.checkSession, refreshSession: options.refreshSession };
  const machine = new Machine({
    topics: options.topics,
    view: { maxHz: options.maxHz, bbox: options.bbox },
    canAsk: (['checkSession', 'refreshSession'] as const).filter((question) => questions[question]),
    random: Math.random,
  });
  const positions = new Map([...machine.topics.values()].map((topic) => [topic.name, topic.held]));
  const feeds = new Set<ChangeFeed>();
  const ended = new AbortController();
  const todo: Action[] = [];
  let isBusy = false;
  let hasStarted = false;
  let socket: LiveSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const tell = (input: Input): void => {
    todo.push(...machine.handle(input, performance.now()));
    // A callback that calls `update` or `close` gets here again: its actions queue up behind those under way.
    if (isBusy) return;
    isBusy = true;
    try {
      for (let action = todo.shift(); action !== undefined; action = todo.shift()) perform(action);
    } finally {
      isBusy = false;
    }
    clearTimeout(timer);
    const waitMs = machine.dueAtMs - performance.now();
    // A longer timeout than 31 bits hold would fire at once; to come too early does no harm.
    if (waitMs < Infinity)
      timer = setTimeout(tell, Math.min(Math.max(0, waitMs), 2 ** 31 - 1), { is: 'due' });
  };

  const perform = (action: Action): void => {
    switch (action.do) {
      case 'open':
        try {
          open();
        } catch (error) {
          // At first it is the caller's mistake. Later the same call has gone well before: it will again.
          if (!hasStarted) throw error;
          tell({ is: 'closed', code: 1006, reason: 'no socket' });
        }
        break;
      case 'send':
        socket?.send(action.text);
        break;
      case 'drop': {
        const dropped = socket;
        socket = undefined;
        dropped?.close();
        break;
      }
      case 'ask':
        void ask(action.question).then((status) => tell({ is: 'answered', number: action.number, status }));
        break;
      case 'change':
        for (const feed of feeds) feed.add(action.change);
        call(() => options.onChange?.(action.change));
        break;
      case 'problem':
        call(() => options.onProblem?.(action.problem));
        break;
      case 'state':
        if (action.ending !== undefined) end();
        call(() => options.onState?.(action.state, action.ending));
    }
  };

  const open = (): void => {
    const opened = openSocket(options.url, subprotocol);
    socket = opened;
    // A socket that was dropped may still speak; nobody listens to it.
    opened.addEventListener('open', () => {
      if (socket === opened) tell({ is: 'opened', protocol: opened.protocol });
    });
    opened.addEventListener('message', ({ data }) => {
      if (socket === opened && typeof data === 'string') tell({ is: 'heard', text: data });
    });
    opened.addEventListener('close', ({ code, reason }) => {
      if (socket !== opened) return;
      socket = undefined;
      tell({ is: 'closed', code, reason });
    });
    // The close event follows, and says as much; `ws` throws an error that nobody listens to.
    opened.addEventListener('error', () => undefined);
  };

  const ask = async (question: Question): Promise<number | undefined> => {
    try {
      const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(answerLimitMs)]);
      return (await questions[question]?.(signal))?.status;
    } catch {
      // No answer, for whatever reason, is no reason to stop.
      return undefined;
    }
  };

  const end = (): void => {
    ended.abort();
    for (const feed of feeds) feed.end();
  };

  async function* iterate(): AsyncGenerator<Change, void, undefined> {
    const feed = new ChangeFeed();
    for (const [topic, held] of positions) {
      if (held.size > 0) feed.add({ topic, positions: [...held.values()], removed: [] });
    }
    if (ended.signal.aborted) feed.end();
    feeds.add(feed);
    try {
      for (let change = await feed.next(); change !== undefined; change = await feed.next()) yield change;
    } finally {
      feeds.delete(feed);
    }
  }

  const close = (): void => tell({ is: 'stopped' });
  tell({ is: 'started' });
  hasStarted = true;
  onWaking(() => tell({ is: 'woken' }), ended.signal);
  options.signal?.addEventListener('abort', close, { signal: ended.signal });
  if (options.signal?.aborted === true) close();

  return {
    get state() {
      return machine.state;
    },
    positions,
    update: (view) => tell({ is: 'viewed', view }),
    close,
    [Symbol.dispose]: close,
    [Symbol.asyncIterator]: iterate,
  };
}

function openWebSocket(url: string, protocol: string): LiveSocket {
  return new WebSocket(url, protocol);
}

/** What a page has and Node has not; `queueMicrotask` is there for the type's sake, both have it. */
interface PerhapsPage extends Pick<typeof globalThis, 'queueMicrotask'> {
  readonly addEventListener?: Listen;
  readonly document?: { readonly visibilityState: string; readonly addEventListener: Listen };
}
type Listen = (type: string, listener: () => void, options: { readonly signal: AbortSignal }) => void;

/** Where there is a page: when the network is back, and when the page is seen again. */
function onWaking(wake: () => void, signal: AbortSignal): void {
  const page: PerhapsPage = globalThis;
  page.addEventListener?.('online', wake, { signal });
  const { document } = page;
  document?.addEventListener(
    'visibilitychange',
    () => {
      if (document.visibilityState === 'visible') wake();
    },
    { signal },
  );
}

/** A callback that throws is the page's own error, reported as one: it must not stop the client. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
