import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client, connect, tryConnect } from '../client.ts';
import type { HandshakeOptions, Refusal } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { Session, Target } from '../target.ts';

/** The refusal of an upgrade; rejects if the server accepts it. */
async function refusalOf(target: Target, handshake: HandshakeOptions): Promise<Refusal> {
  const client = await tryConnect(target, 'plain', handshake);
  if (!(client instanceof Client)) return client;
  client[Symbol.dispose]();
  throw new Error('the upgrade was accepted');
}

async function expectRefused(target: Target, handshake: HandshakeOptions, status: number): Promise<void> {
  equal((await refusalOf(target, handshake)).status, status);
}

async function expectRetryLater(target: Target, handshake: HandshakeOptions): Promise<void> {
  const refusal = await refusalOf(target, handshake);
  equal(refusal.status, 503);
  match(refusal.retryAfter ?? 'no Retry-After', /^[1-9]\d*$/);
}

/** A session cookie with a random value. */
function forgedSession(session: Session | undefined): Session {
  const name = session?.cookie.split('=')[0] ?? 'directus_session_token';
  return { cookie: `${name}=${randomUUID()}` };
}

function withPath(target: Target, path: string): Target {
  const url = new URL(target.url);
  url.pathname = path;
  return { ...target, url: url.href };
}

export const handshakeCases = [
  defineCase('any other path is answered 404', [], async (target) => {
    const { pathname } = new URL(target.url);
    for (const path of ['/', `${pathname}x`, `${pathname}/x`]) {
      await expectRefused(withPath(target, path), { origin: target.origin }, 404);
    }
  }),
  defineCase('a request without upgrade is answered 4xx', [], async (target) => {
    const response = await fetch(target.url.replace(/^ws/u, 'http'), {
      signal: AbortSignal.timeout(target.answerMs),
    });
    ok(response.status >= 400 && response.status < 500, `answered ${response.status}`);
  }),
  defineCase(
    'an Origin that is not allowed is answered 403, before the session is checked',
    [],
    async (target) => {
      await expectRefused(target, { origin: 'https://elsewhere.example.org' }, 403);
      await expectRefused(
        target,
        { origin: 'https://elsewhere.example.org', session: forgedSession(target.session) },
        403,
      );
    },
  ),
  defineCase('an Origin must match exactly', [], async (target) => {
    const { origin } = target;
    for (const similar of [
      `${origin}/`,
      origin.toUpperCase(),
      `${origin}:1`,
      `${origin}.example.org`,
      `${origin} `.repeat(2),
    ]) {
      await expectRefused(target, { origin: similar, session: forgedSession(target.session) }, 403);
    }
  }),
  defineCase('the Origins null and * are answered 403', [], async (target) => {
    for (const origin of ['null', '*'])
      await expectRefused(target, { origin, session: forgedSession(target.session) }, 403);
  }),
  defineCase(
    'a request without Origin is accepted only if the server allows it',
    ['session'],
    async (target) => {
      const { session } = target;
      if (!target.letsInWithoutOrigin) return await expectRefused(target, { session }, 403);
      const client = await tryConnect(target, 'plain', { session });
      ok(client instanceof Client, 'the upgrade was refused');
      client[Symbol.dispose]();
    },
  ),
  defineCase('a request without a session cookie is answered 401', [], async (target) => {
    const { origin } = target;
    await expectRefused(target, { origin }, 401);
    await expectRefused(target, { origin, session: { cookie: 'theme=dark' } }, 401);
    await expectRefused(
      target,
      { origin, session: { cookie: forgedSession(target.session).cookie.replace(/=.*/u, '=') } },
      401,
    );
  }),
  defineCase('a session unknown to Directus is answered 401', [], async (target) => {
    await expectRefused(target, { origin: target.origin, session: forgedSession(target.session) }, 401);
  }),
  defineCase('a session without a user (a share token) is answered 401', ['directus'], async (target) => {
    await expectRefused(target, { origin: target.origin, session: target.directus.shareToken() }, 401);
  }),
  defineCase(
    'a session signed with another key, which Directus answers 403, is answered 401',
    ['directus'],
    async (target) => {
      await expectRefused(target, { origin: target.origin, session: target.directus.foreignSession() }, 401);
    },
  ),
  ...(['429', '500', '503', 'hang', 'refuse'] as const).map((mode) =>
    defineCase(
      `while Directus fails (${mode}) an upgrade is answered 503 with Retry-After`,
      ['directus'],
      async (target) => {
        const session = target.directus.newViewer();
        await target.directus.during(mode, async () => {
          await expectRetryLater(target, { origin: target.origin, session });
        });
        using client = await connect(target, 'plain', session);
        await client.roundTrip();
      },
    ),
  ),
  defineCase(
    'only the session cookie and the client address are forwarded to Directus',
    ['directus'],
    async (target) => {
      const session = target.directus.newViewer();
      const callsBefore = target.directus.calls().length;
      const client = await tryConnect(target, 'plain', {
        origin: target.origin,
        session: { cookie: `theme=dark; ${session.cookie}; other=1` },
        headers: { authorization: 'Bearer x', 'x-secret': '1', 'user-agent': 'conformance' },
      });
      ok(client instanceof Client, 'the upgrade was refused');
      client[Symbol.dispose]();
      const calls = target.directus.calls().slice(callsBefore);
      ok(calls.length > 0, 'Directus got no request');
      for (const { headers, cookies } of calls) {
        deepEqual(cookies, [session.cookie.split('=')[0]]);
        deepEqual(
          headers.filter((name) => ['authorization', 'x-secret', 'origin'].includes(name)),
          [],
        );
      }
    },
  ),
  defineCase('a full server answers 503 with Retry-After', ['session', 'replicas'], async (target) => {
    await using full = await target.replicas.start({ LIVE_MAX_CONNECTIONS: '1' });
    using client = await connect(target, 'plain', target.session, { url: full.url });
    await expectRetryLater({ ...target, url: full.url }, { origin: target.origin, session: target.session });
    await client.roundTrip();
  }),
  defineCase(
    'a client that requests no subprotocol gets none and the plain dialect',
    ['session'],
    async (target) => {
      using client = await connect(target, 'plain', target.session);
      equal(client.socket.protocol, '');
      // A `hello` would fail the schema of the plain dialect.
      await client.roundTrip();
    },
    { schedule: 'parallel' },
  ),
  defineCase('a client that offers live.v1 gets it, alone or among others', ['session'], async (target) => {
    for (const protocols of [['live.v1'], ['chat', 'live.v1'], ['live.v1', 'live.v2']]) {
      const { origin, session } = target;
      const result = await tryConnect(target, 'batched', { origin, session, protocols });
      ok(result instanceof Client, 'the upgrade was refused');
      using client = result;
      equal(client.socket.protocol, 'live.v1');
      await client.next('hello');
    }
  }),
  defineCase(
    'the first message of the batched dialect is hello with protocol, connection, time, tickMs, columns and limits',
    ['session'],
    async (target) => {
      using client = await connect(target, 'batched', target.session);
      const hello = await client.next('hello');
      equal(client.received[0]?.message, hello);
      equal(hello.protocol, 'live.v1');
      deepEqual(hello.columns, ['deviceId', 'lon', 'lat', 'ts', 'speed', 'course', 'altitude']);
      ok(hello.connection.length > 0 && hello.tickMs > 0, 'no connection name or no tickMs');
      ok(Math.abs(hello.time - Date.now()) < 60_000, 'the server clock differs by more than a minute');
      ok(
        hello.limits.messageBytes >= 1 && hello.limits.messagesPerS > 0 && hello.limits.subscriptions > 0,
        'no limits',
      );
      using other = await connect(target, 'batched', target.session);
      ok((await other.next('hello')).connection !== hello.connection, 'two connections with the same name');
    },
    { covers: ['message hello'] },
  ),
];
