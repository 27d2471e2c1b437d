import { subprotocol } from '@app/shared/protocol';
import type { Bbox, ResultRow } from '@app/shared/messages';
import { ChangeFeed } from './change-feed.ts';
import { ResultsFeed } from './results-feed.ts';
import type { ResultsChange, ResultTables } from './results-topic.ts';
import type { Problem } from './subscriptions.ts';
import { Machine } from './machine.ts';
import type { Action, Ending, Input, LiveState, SessionRequest } from './machine.ts';
import { asObject, asString } from './server-message.ts';
import type { LivePosition } from './server-message.ts';
import { responseTimeoutMs } from './timing.ts';
import type { Change, View } from './topic.ts';

export type {
  Bbox,
  Change,
  Ending,
  LivePosition,
  LiveState,
  Problem,
  ResultRow,
  ResultsChange,
  ResultTables,
  View,
};

/** The part of a WebSocket that is used; browsers', Node's and that of `ws` are compatible. */
export interface LiveSocket {
  readonly protocol: string;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  send(data: string): void;
  close(): void;
}

export interface ConnectOptions extends View {
  /** `wss://…` URL of the gateway. */
  readonly url: string;
  /** `event:<uuid>` for positions, `results:<uuid>` for results; one or several. */
  readonly topics: readonly string[];
  /**
   * Checks the session, usually `(signal) => fetch('/users/me', { signal })`. Called when the gateway may have rejected
   * the session, which a browser cannot see. After 401 or 403 the client refreshes the session or stops, otherwise it
   * retries. Without it the client retries forever.
   */
  readonly checkSession?: ((signal: AbortSignal) => Promise<{ readonly status: number }>) | undefined;
  /** Refreshes the session after `checkSession` returned 401 or 403; 2xx is success. */
  readonly refreshSession?: ((signal: AbortSignal) => Promise<{ readonly status: number }>) | undefined;
  /**
   * Requests a ticket for the current session from the gateway. Default: a `fetch` POST with the browser's cookie; set
   * it in Node.
   */
  readonly requestTicket?:
    | ((url: string, signal: AbortSignal) => Promise<{ json(): Promise<unknown> }>)
    | undefined;
  /** Called after each change of `state`; `ending` is set for `unauthorised` and `closed`. */
  readonly onState?: ((state: LiveState, ending: Ending | undefined) => void) | undefined;
  /** Called after `positions` has changed. */
  readonly onChange?: ((change: Change) => void) | undefined;
  /** Called after `results` has changed. */
  readonly onResults?: ((change: ResultsChange) => void) | undefined;
  readonly onProblem?: ((problem: Problem) => void) | undefined;
  /** Closes the client when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** For Node, where cookies are not sent automatically. Default: `new WebSocket(url, protocol)`. */
  readonly openSocket?: ((url: string, protocol: string) => LiveSocket) | undefined;
}

export interface LiveClient extends AsyncIterable<Change>, Disposable {
  readonly state: LiveState;
  /** The newest position of each shown device, by topic and device id; live, not a copy. */
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, LivePosition>>;
  /** The results held, by topic, table and key; live, not a copy. */
  readonly results: ReadonlyMap<string, ResultTables>;
  /** Changes of results. Starts with those that are held; a slow reader gets each row's newest content only. */
  resultChanges(): AsyncIterable<ResultsChange>;
  /** Changes the view; omitted properties stay unchanged. `bbox: null` shows the whole event. */
  update(view: View): void;
  /**
   * Call it after the page has refreshed its session: hands the new one over to the open connection, where the gateway
   * supports that. Otherwise the client reconnects with it once the previous session has ended.
   */
  sessionRefreshed(): void;
  /** Closes the client for good and ends every iterator. */
  close(): void;
}

/**
 * Connects, subscribes and keeps `positions` current until it is closed or rejected; reconnects and resumes
 * automatically. An iterator starts with the current positions; a slow reader gets each device's newest position only.
 *
 * @throws what `WebSocket` throws for an invalid URL. Later errors are reported as states and problems.
 */
export function connect(options: ConnectOptions): LiveClient {
  const { openSocket = openWebSocket, requestTicket = postForTicket } = options;
  const requests = { checkSession: options.checkSession, refreshSession: options.refreshSession };
  const machine = new Machine({
    topics: options.topics,
    view: { maxHz: options.maxHz, bbox: options.bbox },
    sessionRequests: (['checkSession', 'refreshSession'] as const).filter((request) => requests[request]),
    random: Math.random,
  });
  const positions = new Map([...machine.topics.values()].map((topic) => [topic.name, topic.positions]));
  const results = new Map([...machine.results.values()].map((topic) => [topic.name, topic.tables]));
  const feeds = new Set<ChangeFeed>();
  const resultsFeeds = new Set<ResultsFeed>();
  const ended = new AbortController();
  const queue: Action[] = [];
  let isExecuting = false;
  let hasStarted = false;
  let socket: LiveSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const dispatch = (input: Input): void => {
    queue.push(...machine.handle(input, performance.now()));
    // Reentrant if a callback calls `update` or `close`: its actions are executed after the current ones.
    if (isExecuting) return;
    isExecuting = true;
    try {
      for (let action = queue.shift(); action !== undefined; action = queue.shift()) execute(action);
    } finally {
      isExecuting = false;
    }
    clearTimeout(timer);
    const waitMs = machine.timerAtMs - performance.now();
    // A timeout over 31 bits would fire immediately; firing too early does no harm.
    if (waitMs < Infinity)
      timer = setTimeout(dispatch, Math.min(Math.max(0, waitMs), 2 ** 31 - 1), { type: 'timer' });
  };

  const execute = (action: Action): void => {
    switch (action.type) {
      case 'connect':
        try {
          open();
        } catch (error) {
          // The first time it is the caller's error. Later the same call has succeeded before, so retry.
          if (!hasStarted) throw error;
          dispatch({ type: 'close', code: 1006, reason: 'no socket' });
        }
        break;
      case 'send':
        socket?.send(action.data);
        break;
      case 'disconnect': {
        const previous = socket;
        socket = undefined;
        previous?.close();
        break;
      }
      case 'request':
        void request(action.request).then((status) =>
          dispatch({ type: 'response', number: action.number, status }),
        );
        break;
      case 'ticket':
        void ticketFor(action.connection).then((ticket) =>
          dispatch({ type: 'ticket', connection: action.connection, ticket }),
        );
        break;
      case 'change':
        for (const feed of feeds) feed.add(action.change);
        call(() => options.onChange?.(action.change));
        break;
      case 'results':
        for (const feed of resultsFeeds) feed.add(action.change);
        call(() => options.onResults?.(action.change));
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
    // A closed socket may still emit events, which are ignored.
    opened.addEventListener('open', () => {
      if (socket === opened) dispatch({ type: 'open', protocol: opened.protocol });
    });
    opened.addEventListener('message', ({ data }) => {
      if (socket === opened && typeof data === 'string') dispatch({ type: 'message', data });
    });
    opened.addEventListener('close', ({ code, reason }) => {
      if (socket !== opened) return;
      socket = undefined;
      dispatch({ type: 'close', code, reason });
    });
    // A close event follows. Without a listener `ws` would throw the error.
    opened.addEventListener('error', () => undefined);
  };

  const requestSignal = (): AbortSignal =>
    AbortSignal.any([ended.signal, AbortSignal.timeout(responseTimeoutMs)]);

  const request = async (name: SessionRequest): Promise<number | undefined> => {
    try {
      return (await requests[name]?.(requestSignal()))?.status;
    } catch {
      // A failed request must not stop the client.
      return undefined;
    }
  };

  const ticketFor = async (connection: string): Promise<string | undefined> => {
    try {
      const url = new URL(options.url);
      url.protocol = url.protocol.replace('ws', 'http');
      url.searchParams.set('connection', connection);
      const response = await requestTicket(url.href, requestSignal());
      return asString(asObject(await response.json())?.ticket);
    } catch {
      return undefined;
    }
  };

  const end = (): void => {
    ended.abort();
    for (const feed of [...feeds, ...resultsFeeds]) feed.end();
  };

  async function* iterate(): AsyncGenerator<Change, void, undefined> {
    const feed = new ChangeFeed();
    for (const [topic, current] of positions) {
      if (current.size > 0) feed.add({ topic, positions: [...current.values()], removed: [] });
    }
    yield* read(feed, feeds);
  }

  async function* iterateResults(): AsyncGenerator<ResultsChange, void, undefined> {
    const feed = new ResultsFeed();
    for (const topic of machine.results.values()) {
      if (topic.tables.size > 0) feed.add(topic.held);
    }
    yield* read(feed, resultsFeeds);
  }

  async function* read<Feed extends { end(): void; next(): Promise<Read | undefined> }, Read>(
    feed: Feed,
    all: Set<Feed>,
  ): AsyncGenerator<Read, void, undefined> {
    if (ended.signal.aborted) feed.end();
    all.add(feed);
    try {
      for (let change = await feed.next(); change !== undefined; change = await feed.next()) yield change;
    } finally {
      all.delete(feed);
    }
  }

  const close = (): void => dispatch({ type: 'stop' });
  dispatch({ type: 'start' });
  hasStarted = true;
  onWake(() => dispatch({ type: 'wake' }), ended.signal);
  options.signal?.addEventListener('abort', close, { signal: ended.signal });
  if (options.signal?.aborted === true) close();

  return {
    get state() {
      return machine.state;
    },
    positions,
    results,
    resultChanges: iterateResults,
    update: (view) => dispatch({ type: 'update', view }),
    sessionRefreshed: () => dispatch({ type: 'refreshed' }),
    close,
    [Symbol.dispose]: close,
    [Symbol.asyncIterator]: iterate,
  };
}

function openWebSocket(url: string, protocol: string): LiveSocket {
  return new WebSocket(url, protocol);
}

function postForTicket(url: string, signal: AbortSignal): Promise<Response> {
  return fetch(url, { method: 'POST', credentials: 'include', signal });
}

/** Globals of a page, missing in Node; `queueMicrotask` exists in both and makes `globalThis` assignable. */
interface PageGlobals extends Pick<typeof globalThis, 'queueMicrotask'> {
  readonly addEventListener?: Listen;
  readonly document?: { readonly visibilityState: string; readonly addEventListener: Listen };
}
type Listen = (type: string, listener: () => void, options: { readonly signal: AbortSignal }) => void;

/** In a page, calls `wake` when the network is back or the page becomes visible. */
function onWake(wake: () => void, signal: AbortSignal): void {
  const page: PageGlobals = globalThis;
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

/** Calls a callback and reports an exception as uncaught: it must not stop the client. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
