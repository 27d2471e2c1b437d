import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Accounts } from './directus-accounts.ts';
import {
  internalError,
  resourceRestricted,
  routeNotFound,
  tooManyRequests,
  underPressure,
  type DirectusAnswer,
} from './directus-answers.ts';
import { logIn, loginPage, sessionCookieName } from './directus-login.ts';
import { findRoute, type DirectusRoute } from './directus-route.ts';
import { findFreePort } from './free-port.ts';

/**
 * `slow`: answers late. `429`, `500`, `503`: as Directus does over its rate limit, on an error, under pressure.
 * `unlicensed`: 12 without a licence refuses items with a code of its own. `hang`: takes the request and stays
 * silent. `refuse`: nothing listens. `page`, `redirect`: not Directus answers but a proxy before it, with a page that
 * quotes the request's cookies, or with the way to another place.
 */
export type Misbehaviour =
  | 'ok'
  | 'slow'
  | '429'
  | '500'
  | '503'
  | 'unlicensed'
  | 'hang'
  | 'refuse'
  | 'page'
  | 'redirect';

/** One request, as far as a test may need it; no cookie's value. */
export interface DirectusCall {
  readonly method: string;
  /** As it came over the wire, query included: `/items/events/…?fields=id`. */
  readonly path: string;
  /** Lower case, sorted. */
  readonly headerNames: readonly string[];
  readonly cookieNames: readonly string[];
  /** The first 8 hex digits of the SHA-256 of the session cookie. */
  readonly sessionHash: string | undefined;
  /** What was sent as `X-Forwarded-For`. */
  readonly clientAddress: string | undefined;
}

export interface TestDirectus extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly DirectusCall[];
  addSession(cookie: string, userId: string): void;
  /** A share link's token: `/users/me` answers it 200 without an id. */
  addShareToken(cookie: string): void;
  /** A session signed by another key: 403 INVALID_TOKEN. */
  addForeignSession(cookie: string): void;
  expireSession(cookie: string): void;
  /** Someone who can log in by e-mail and password. */
  addUser(user: { readonly userId: string; readonly email: string; readonly password: string }): void;
  /** From then on the user cannot log in; 12 also ends the sessions, 11 does not. */
  suspend(userId: string): void;
  allow(userId: string, eventId: string): void;
  forbid(userId: string, eventId: string): void;
  /** `slowMs`: how late an answer is when slow, 2000 unless given. */
  misbehave(mode: Misbehaviour, options?: { readonly slowMs?: number }): void;
}

/**
 * A small Directus on 127.0.0.1 that answers as the real one was recorded to, its traps included. It serves
 * tests, and the demo as a stand-in.
 */
export async function startDirectus(
  options: {
    readonly port?: number;
    readonly version?: 11 | 12;
    /** Where it listens. Anything but the default is for a container, which has a network of its own. */
    readonly host?: string;
  } = {},
): Promise<TestDirectus> {
  const port = options.port ?? (await findFreePort());
  const accounts = new Accounts(options.version ?? 11);
  const calls: DirectusCall[] = [];
  let mode: Misbehaviour = 'ok';
  let slowMs = 2000;

  const server = createServer((request, response) => {
    const session = readSession(request);
    calls.push(describeCall(request, session));
    const route = findRoute(request.method ?? 'GET', rawPathOf(request));
    // A request that breaks off in the middle leaves no one to answer.
    void respond(route, session, request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 5000;

  const respond = async (
    route: DirectusRoute,
    session: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (mode === 'hang') return;
    const answer = misbehaviourAnswer(mode, route, request) ?? (await answerRoute(route, session, request));
    if (mode === 'slow') {
      const timer = setTimeout(() => {
        send(response, answer);
      }, slowMs);
      response.once('close', () => {
        clearTimeout(timer);
      });
      return;
    }
    send(response, answer);
  };

  const answerRoute = async (
    route: DirectusRoute,
    session: string | undefined,
    request: IncomingMessage,
  ): Promise<DirectusAnswer> => {
    switch (route.to) {
      case 'ping':
        return { status: 200, body: 'pong', headers: { 'Content-Type': 'text/html; charset=utf-8' } };
      case 'me':
        return accounts.me(session);
      case 'event':
        return accounts.event(session, route.id);
      case 'event list':
        return accounts.eventList(session);
      case 'log in':
        return await logIn(request, accounts);
      case 'login page':
        return { status: 200, body: loginPage, headers: { 'Content-Type': 'text/html; charset=utf-8' } };
      case 'nowhere':
        break;
    }
    return routeNotFound(rawPathOf(request));
  };

  const listen = (): void => {
    server.listen({ port, host: options.host ?? '127.0.0.1', exclusive: true });
  };
  listen();
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    addSession: (cookie, userId) => {
      accounts.addSession(cookie, userId);
    },
    addShareToken: (cookie) => {
      accounts.addShareToken(cookie);
    },
    addForeignSession: (cookie) => {
      accounts.addForeignSession(cookie);
    },
    expireSession: (cookie) => {
      accounts.expireSession(cookie);
    },
    addUser: (user) => {
      accounts.addUser(user);
    },
    suspend: (userId) => {
      accounts.suspend(userId);
    },
    allow: (userId, eventId) => {
      accounts.allow(userId, eventId);
    },
    forbid: (userId, eventId) => {
      accounts.forbid(userId, eventId);
    },
    misbehave: (next, { slowMs: nextSlowMs = 2000 } = {}) => {
      const previous = mode;
      mode = next;
      slowMs = nextSlowMs;
      if (next === 'refuse' && server.listening) server.close();
      if (next !== 'refuse' && !server.listening) listen();
      // Nobody will answer what hangs; and a kept-alive connection is no way past a closed door.
      if (next === 'refuse' || previous === 'hang') server.closeAllConnections();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = server.listening ? once(server, 'close') : undefined;
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function misbehaviourAnswer(
  mode: Misbehaviour,
  route: DirectusRoute,
  request: IncomingMessage,
): DirectusAnswer | undefined {
  // The pressure check stands before all routes, the rate limit behind the ping.
  if (mode === '503') return underPressure;
  if (route.to === 'ping') return undefined;
  if (mode === '429') return tooManyRequests(1);
  if (mode === '500') return internalError;
  if (mode === 'page')
    return { status: 200, body: `<p>Maintenance. You sent: ${request.headers.cookie}</p>` };
  if (mode === 'redirect') return { status: 302, body: '', headers: { Location: '/users/me' } };
  if (mode === 'unlicensed' && (route.to === 'event' || route.to === 'event list')) return resourceRestricted;
  return undefined;
}

function send(response: ServerResponse, answer: DirectusAnswer): void {
  const isText = typeof answer.body === 'string';
  response.writeHead(answer.status, {
    ...(isText ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
    ...answer.headers,
  });
  response.end(isText ? answer.body : JSON.stringify(answer.body));
}

function rawPathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function readCookies(request: IncomingMessage): ReadonlyMap<string, string> {
  const pairs = (request.headers.cookie ?? '').split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at < 0 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]];
  });
  return new Map(pairs);
}

function readSession(request: IncomingMessage): string | undefined {
  const session = readCookies(request).get(sessionCookieName);
  return session === '' ? undefined : session;
}

function describeCall(request: IncomingMessage, session: string | undefined): DirectusCall {
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headerNames: Object.keys(request.headers).toSorted(),
    cookieNames: [...readCookies(request).keys()],
    sessionHash:
      session === undefined ? undefined : createHash('sha256').update(session).digest('hex').slice(0, 8),
    clientAddress: request.headers['x-forwarded-for']?.toString(),
  };
}
