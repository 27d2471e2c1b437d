import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { Accounts } from './directus-accounts.ts';
import {
  internalError,
  resourceRestricted,
  routeNotFound,
  tooManyRequests,
  underPressure,
  type DirectusAnswer,
} from './directus-answers.ts';
import { logIn, loginPage, refresh, sessionCookieName } from './directus-login.ts';
import { findRoute, type DirectusRoute } from './directus-route.ts';
import { findFreePort } from './free-port.ts';

/**
 * `429`, `500`, `503`: what Directus answers over its rate limit, on an error, under pressure. `unlicensed`: 12 without a
 * licence refuses items. `hang`: never answers. `refuse`: nothing listens. `page`, `redirect`: a proxy answers, with a
 * page that quotes the request's cookies or with a redirect.
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

/** One request, without cookie values. */
export interface DirectusCall {
  /** Raw, with its query: `/items/events/…?fields=id`. */
  readonly path: string;
  /** Lower case, sorted. */
  readonly headerNames: readonly string[];
  readonly cookieNames: readonly string[];
  /** The `X-Forwarded-For` header. */
  readonly clientAddress: string | undefined;
}

/** A Directus stand-in with its accounts; see `startDirectus`. */
export class TestDirectus extends Accounts implements AsyncDisposable {
  readonly url: string;
  readonly calls: DirectusCall[] = [];
  readonly #server: Server;
  readonly #listenOptions: ListenOptions;
  #mode: Misbehaviour = 'ok';
  #slowMs = 2000;

  constructor(port: number, host: string) {
    super();
    this.url = `http://127.0.0.1:${port}`;
    this.#listenOptions = { port, host, exclusive: true };
    this.#server = createServer((request, response) => {
      // A request that breaks off has nobody to answer.
      this.#respond(request, response).catch(() => response.destroy());
    });
    this.#server.keepAliveTimeout = 5000;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#listenOptions);
    await once(this.#server, 'listening');
  }

  /** `slowMs`: the delay of an answer while slow. */
  misbehave(mode: Misbehaviour, { slowMs = 2000 }: { readonly slowMs?: number } = {}): void {
    const previous = this.#mode;
    this.#mode = mode;
    this.#slowMs = slowMs;
    if (mode === 'refuse' && this.#server.listening) this.#server.close();
    if (mode !== 'refuse' && !this.#server.listening) this.#server.listen(this.#listenOptions);
    // Hanging requests are never answered, and a kept-alive connection must not bypass a closed port.
    if (mode === 'refuse' || previous === 'hang') this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : undefined;
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = readSession(request);
    this.calls.push(describeCall(request));
    if (this.#mode === 'hang') return;
    const [mode, slowMs] = [this.#mode, this.#slowMs];
    const route = findRoute(request.method ?? 'GET', rawPathOf(request));
    const answer =
      misbehaviourAnswer(mode, route, request) ?? (await this.#answerRoute(route, session, request));
    if (mode !== 'slow') return send(response, answer);
    const timer = setTimeout(() => send(response, answer), slowMs);
    response.once('close', () => clearTimeout(timer));
  }

  async #answerRoute(
    route: DirectusRoute,
    session: string | undefined,
    request: IncomingMessage,
  ): Promise<DirectusAnswer> {
    switch (route.to) {
      case 'ping':
        return { status: 200, body: 'pong', headers: html };
      case 'me':
        return this.me(session);
      case 'event':
        return this.event(session, route.id);
      case 'event list':
        return this.eventList(session);
      case 'incidents':
        return this.incidents(session);
      case 'log in':
        return await logIn(request, this);
      case 'refresh':
        return await refresh(request, session, this);
      case 'login page':
        return { status: 200, body: loginPage, headers: html };
      case 'nowhere':
        break;
    }
    return routeNotFound(rawPathOf(request));
  }
}

const html = { 'Content-Type': 'text/html; charset=utf-8' };

/** A small Directus on 127.0.0.1 that answers as the real one was recorded to. Tests use it, and the demo. */
export async function startDirectus(
  options: {
    readonly port?: number;
    /** Anything but the default is for a container, which has a network of its own. */
    readonly host?: string;
  } = {},
): Promise<TestDirectus> {
  const { port = await findFreePort(), host = '127.0.0.1' } = options;
  const directus = new TestDirectus(port, host);
  await directus.listen();
  return directus;
}

const itemRoutes: ReadonlySet<DirectusRoute['to']> = new Set(['event', 'event list', 'incidents']);

function misbehaviourAnswer(
  mode: Misbehaviour,
  route: DirectusRoute,
  request: IncomingMessage,
): DirectusAnswer | undefined {
  // The pressure check precedes all routes; the rate limit does not apply to the ping.
  if (mode === '503') return underPressure;
  if (route.to === 'ping') return undefined;
  if (mode === '429') return tooManyRequests(1);
  if (mode === '500') return internalError;
  if (mode === 'page')
    return {
      status: 200,
      body: `<p>Maintenance. You sent: ${request.headers.cookie} ${request.headers.authorization}</p>`,
    };
  if (mode === 'redirect') return { status: 302, body: '', headers: { Location: '/users/me' } };
  if (mode === 'unlicensed' && itemRoutes.has(route.to)) return resourceRestricted;
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
  const [, bearer] = /^Bearer (.+)$/u.exec(request.headers.authorization ?? '') ?? [];
  // The header precedes the cookie.
  const session = bearer ?? readCookies(request).get(sessionCookieName);
  return session === '' ? undefined : session;
}

function describeCall(request: IncomingMessage): DirectusCall {
  return {
    path: request.url ?? '',
    headerNames: Object.keys(request.headers).toSorted(),
    cookieNames: [...readCookies(request).keys()],
    clientAddress: request.headers['x-forwarded-for']?.toString(),
  };
}
