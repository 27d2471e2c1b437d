import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Peer, connect, tryConnect } from '../peer.ts';
import type { HandshakeOptions, Refusal } from '../peer.ts';
import { sentence } from '../sentence.ts';
import type { Session, Target } from '../target.ts';

/** How it is refused; fails if it is let in. */
async function refusalOf(target: Target, handshake: HandshakeOptions): Promise<Refusal> {
  const peer = await tryConnect(target, 'plain', handshake);
  if (!(peer instanceof Peer)) return peer;
  peer[Symbol.dispose]();
  throw new Error('let in');
}

async function expectRefused(target: Target, handshake: HandshakeOptions, status: number): Promise<void> {
  equal((await refusalOf(target, handshake)).status, status);
}

async function expectLater(target: Target, handshake: HandshakeOptions): Promise<void> {
  const refusal = await refusalOf(target, handshake);
  equal(refusal.status, 503);
  match(refusal.retryAfter ?? 'no Retry-After', /^[1-9]\d*$/);
}

/** Somebody's session cookie with a value that nobody has. */
function forged(session: Session | undefined): Session {
  const name = session?.cookie.split('=')[0] ?? 'directus_session_token';
  return { cookie: `${name}=${randomUUID()}` };
}

function withPath(target: Target, path: string): Target {
  const url = new URL(target.url);
  url.pathname = path;
  return { ...target, url: url.href };
}

export const handshakeSentences = [
  sentence('another path is answered 404', [], async (target) => {
    const { pathname } = new URL(target.url);
    for (const path of ['/', `${pathname}x`, `${pathname}/x`]) {
      await expectRefused(withPath(target, path), { origin: target.origin }, 404);
    }
  }),
  sentence('a request that does not ask to upgrade is answered, and not with 2xx', [], async (target) => {
    const response = await fetch(target.url.replace(/^ws/u, 'http'), {
      signal: AbortSignal.timeout(target.answerMs),
    });
    ok(response.status >= 400 && response.status < 500, `answered ${response.status}`);
  }),
  sentence(
    'an Origin that is not allowed is answered 403, before anybody is asked about the session',
    [],
    async (target) => {
      await expectRefused(target, { origin: 'https://elsewhere.example.org' }, 403);
      await expectRefused(
        target,
        { origin: 'https://elsewhere.example.org', session: forged(target.session) },
        403,
      );
    },
  ),
  sentence('an Origin is compared to the letter', [], async (target) => {
    const { origin } = target;
    for (const near of [
      `${origin}/`,
      origin.toUpperCase(),
      `${origin}:1`,
      `${origin}.example.org`,
      `${origin} `.repeat(2),
    ]) {
      await expectRefused(target, { origin: near, session: forged(target.session) }, 403);
    }
  }),
  sentence('the Origins null and * are refused', [], async (target) => {
    for (const origin of ['null', '*'])
      await expectRefused(target, { origin, session: forged(target.session) }, 403);
  }),
  sentence('a missing Origin is let in only where that is configured', ['session'], async (target) => {
    const { session } = target;
    if (!target.letsInWithoutOrigin) return await expectRefused(target, { session }, 403);
    const peer = await tryConnect(target, 'plain', { session });
    ok(peer instanceof Peer, 'refused');
    peer[Symbol.dispose]();
  }),
  sentence('without a session cookie the answer is 401', [], async (target) => {
    const { origin } = target;
    await expectRefused(target, { origin }, 401);
    await expectRefused(target, { origin, session: { cookie: 'theme=dark' } }, 401);
    await expectRefused(
      target,
      { origin, session: { cookie: forged(target.session).cookie.replace(/=.*/u, '=') } },
      401,
    );
  }),
  sentence('a session that Directus does not know is answered 401', [], async (target) => {
    await expectRefused(target, { origin: target.origin, session: forged(target.session) }, 401);
  }),
  sentence('a session that names no user, a share token, is answered 401', ['directus'], async (target) => {
    await expectRefused(target, { origin: target.origin, session: target.directus.shareToken() }, 401);
  }),
  sentence(
    'a session signed by another key, which Directus answers 403, is answered 401',
    ['directus'],
    async (target) => {
      await expectRefused(target, { origin: target.origin, session: target.directus.foreignSession() }, 401);
    },
  ),
  ...(['429', '500', '503', 'hang', 'refuse'] as const).map((mood) =>
    sentence(
      `while Directus is in trouble (${mood}) the answer is 503 with Retry-After`,
      ['directus'],
      async (target) => {
        const session = target.directus.newViewer();
        await target.directus.be(mood);
        try {
          await expectLater(target, { origin: target.origin, session });
        } finally {
          await target.directus.be('ok');
        }
        using peer = await connect(target, 'plain', session);
        await peer.settle();
      },
    ),
  ),
  sentence(
    'only the session cookie and the address of the client go on to Directus',
    ['directus'],
    async (target) => {
      const session = target.directus.newViewer();
      const callsBefore = target.directus.calls().length;
      const peer = await tryConnect(target, 'plain', {
        origin: target.origin,
        session: { cookie: `theme=dark; ${session.cookie}; other=1` },
        headers: { authorization: 'Bearer x', 'x-secret': '1', 'user-agent': 'conformance' },
      });
      ok(peer instanceof Peer, 'refused');
      peer[Symbol.dispose]();
      const calls = target.directus.calls().slice(callsBefore);
      ok(calls.length > 0, 'nobody was asked');
      for (const { headers, cookies } of calls) {
        deepEqual(cookies, [session.cookie.split('=')[0]]);
        deepEqual(
          headers.filter((name) => ['authorization', 'x-secret', 'origin'].includes(name)),
          [],
        );
      }
    },
  ),
  sentence('a server that is full answers 503 with Retry-After', ['session', 'replicas'], async (target) => {
    await using full = await target.replicas.start({ LIVE_MAX_CONNECTIONS: '1' });
    using peer = await connect(target, 'plain', target.session, { url: full.url });
    await expectLater({ ...target, url: full.url }, { origin: target.origin, session: target.session });
    await peer.settle();
  }),
  sentence(
    'who asks for no subprotocol gets none, and speaks the plain dialect',
    ['session'],
    async (target) => {
      using peer = await connect(target, 'plain', target.session);
      equal(peer.socket.protocol, '');
      // Its messages are checked against the plain dialect: a `hello` would fail it.
      await peer.settle();
    },
    { pace: 'together' },
  ),
  sentence('who asks for live.v1 gets it, alone or among others', ['session'], async (target) => {
    for (const protocols of [['live.v1'], ['chat', 'live.v1'], ['live.v1', 'live.v2']]) {
      const { origin, session } = target;
      const peer = await tryConnect(target, 'batched', { origin, session, protocols });
      ok(peer instanceof Peer, 'refused');
      using speaking = peer;
      equal(speaking.socket.protocol, 'live.v1');
      await speaking.next('hello');
    }
  }),
  sentence(
    'the first message of the batched dialect is hello: protocol, connection, time, tickMs, columns and limits',
    ['session'],
    async (target) => {
      using peer = await connect(target, 'batched', target.session);
      const hello = await peer.next('hello');
      equal(peer.heard[0]?.message, hello);
      equal(hello.protocol, 'live.v1');
      deepEqual(hello.columns, ['deviceId', 'lon', 'lat', 'ts', 'speed', 'course', 'altitude']);
      ok(hello.connection.length > 0 && hello.tickMs > 0, 'an empty connection or no tick');
      ok(Math.abs(hello.time - Date.now()) < 60_000, 'its clock differs by more than a minute');
      ok(
        hello.limits.messageBytes >= 1 && hello.limits.messagesPerS > 0 && hello.limits.subscriptions > 0,
        'no limits',
      );
      using other = await connect(target, 'batched', target.session);
      ok((await other.next('hello')).connection !== hello.connection, 'two connections of one name');
    },
    { covers: ['message hello'] },
  ),
];
