import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { requestUpgrade } from '../support/request-upgrade.ts';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';
import type { Handshake, Refusal } from '../support/viewer.ts';

let world: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  world = await openFixture();
  gateway = await world.start({
    env: {
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      DIRECTUS_AUTH_TIMEOUT_MS: '400',
      LIVE_MAX_CONNECTIONS_PER_USER: '2',
    },
  });
});

afterAll(() => world[Symbol.asyncDispose]());

beforeEach(() => world.healDirectus());

async function refusalOf(handshake: Handshake): Promise<Refusal> {
  const refusal = await tryConnect(gateway.wsUrl, handshake);
  if (!('status' in refusal)) throw new Error('it was let in');
  return refusal;
}

describe('a request to upgrade', () => {
  test('with a session of a known user is accepted, and Directus sees nothing but the session and the address', async () => {
    const { session } = world.addViewer();
    const callsBefore = world.directus.calls.length;
    using viewer = await connect(gateway.wsUrl, {
      session,
      headers: { 'x-forwarded-for': '203.0.113.9, 198.51.100.4', authorization: 'Bearer stolen' },
    });
    expect(viewer.socket.protocol).toBe('');
    const calls = world.directus.calls.slice(callsBefore);
    expect(calls.map(({ path }) => path)).toEqual(['/users/me']);
    expect(calls[0]?.cookieNames).toEqual(['directus_session_token']);
    expect(calls[0]?.clientAddress).toBe('198.51.100.4');
    expect(calls[0]?.headerNames).not.toContain('authorization');
    expect(calls[0]?.headerNames).not.toContain('origin');
  });

  test('is from whom the proxy names, in a line of its own too, and not from whom the client names', async () => {
    const { session } = world.addViewer();
    const callsBefore = world.directus.calls.length;
    const asked = requestUpgrade(gateway.wsUrl, {
      cookie: `directus_session_token=${session}`,
      'x-forwarded-for': ['203.0.113.9', '198.51.100.4'],
    });
    const [, socket] = await once(asked, 'upgrade');
    socket.destroy();
    const calls = world.directus.calls.slice(callsBefore);
    expect(calls.map(({ clientAddress }) => clientAddress)).toEqual(['198.51.100.4']);
  });

  test('without a cookie is a 401, and asks Directus nothing', async () => {
    const callsBefore = world.directus.calls.length;
    expect((await refusalOf({})).status).toBe(401);
    expect((await refusalOf({ headers: { cookie: 'directus_session_token=' } })).status).toBe(401);
    expect((await refusalOf({ headers: { cookie: 'directus_session_token=a b' } })).status).toBe(401);
    expect(world.directus.calls.length).toBe(callsBefore);
  });

  test.each([
    'https://evil.example.org',
    'null',
    'https://live.example.org:8443',
    'http://live.example.org',
    '',
  ])('from the origin %j is a 403, and asks Directus nothing', async (origin) => {
    const { session } = world.addViewer();
    const callsBefore = world.directus.calls.length;
    expect((await refusalOf({ session, origin })).status).toBe(403);
    expect(world.directus.calls.length).toBe(callsBefore);
  });

  test('with an expired, a foreign or an unknown session is a 401', async () => {
    const { session } = world.addViewer();
    world.directus.expireSession(session);
    expect((await refusalOf({ session })).status).toBe(401);
    world.directus.addForeignSession('foreign');
    expect((await refusalOf({ session: 'foreign' })).status).toBe(401);
    expect((await refusalOf({ session: `unknown-${randomUUID()}` })).status).toBe(401);
  });

  test('with a share token is a 401: it names no user', async () => {
    world.directus.addShareToken('share');
    expect((await refusalOf({ session: 'share' })).status).toBe(401);
  });

  test.each(['429', '500', '503', 'hang', 'refuse', 'page', 'redirect'] as const)(
    'is a 503 with Retry-After while Directus answers %s, and accepted as soon as it answers again',
    async (mode) => {
      const { session } = world.addViewer();
      world.directus.misbehave(mode);
      const { status, retryAfter } = await refusalOf({ session });
      expect(status).toBe(503);
      expect(Number(retryAfter)).toBeGreaterThan(0);
      await world.healDirectus();
      (await connect(gateway.wsUrl, { session }))[Symbol.dispose]();
    },
  );

  test('is answered from memory when the same session has just been checked, and once for many at a time', async () => {
    const { session } = world.addViewer();
    const callsBefore = world.directus.calls.length;
    const viewers = await Promise.all(Array.from({ length: 2 }, () => connect(gateway.wsUrl, { session })));
    using again = await connect(gateway.wsUrl, { session });
    expect(again.socket.readyState).toBe(again.socket.OPEN);
    expect(world.directus.calls.length - callsBefore).toBe(1);
    for (const viewer of viewers) viewer[Symbol.dispose]();
  });

  test('of a user with too many connections closes the oldest of them, which is told to stop', async () => {
    const { session } = world.addViewer();
    using first = await connect(gateway.wsUrl, { session });
    using second = await connect(gateway.wsUrl, { session });
    using third = await connect(gateway.wsUrl, { session });
    expect(await first.closed()).toBe(4403);
    for (const viewer of [second, third]) {
      viewer.send({ type: 'ping' });
      await viewer.next('pong');
    }
  });

  test('that the client gives up while Directus is slow harms nobody', async () => {
    const { session } = world.addViewer();
    world.directus.misbehave('slow', { slowMs: 150 });
    const callsBefore = world.directus.calls.length;
    const abortedBefore = await gateway.metric('live_upgrades_total', { result: 'aborted' });
    const leaver = requestUpgrade(gateway.wsUrl, { cookie: `directus_session_token=${session}` });
    await expect.poll(() => world.directus.calls.length).toBe(callsBefore + 1);
    leaver.destroy();
    await expect
      .poll(() => gateway.metric('live_upgrades_total', { result: 'aborted' }))
      .toBe(abortedBefore + 1);
    world.directus.misbehave('ok');
    (await connect(gateway.wsUrl, { session: world.addViewer().session }))[Symbol.dispose]();
  });

  test('that also says Connection: close is a 400', async () => {
    const { session } = world.addViewer();
    const asked = requestUpgrade(gateway.wsUrl, {
      connection: 'close',
      cookie: `directus_session_token=${session}`,
    });
    const [response] = await once(asked, 'response');
    expect(response).toMatchObject({ statusCode: 400 });
  });

  test('leads, for everybody of many at a time, to a connection that stays', async () => {
    for (let round = 0; round < 6; round += 1) {
      const sessions = Array.from({ length: 50 }, () => world.addViewer().session);
      const viewers = await Promise.all(sessions.map((session) => connect(gateway.wsUrl, { session })));
      for (const viewer of viewers) viewer.send({ type: 'ping' });
      for (const viewer of viewers) await viewer.next('pong');
      for (const viewer of viewers) viewer[Symbol.dispose]();
    }
    expect(gateway.output()).not.toContain('Warning');
  });
});

describe('other requests', () => {
  test('on another path are a 404, on this one without an upgrade a 426', async () => {
    const base = gateway.wsUrl.replace('ws:', 'http:');
    expect((await fetch(base.replace('/ws-live', '/'))).status).toBe(404);
    expect((await fetch(`${base}/x`)).status).toBe(404);
    expect((await fetch(base)).status).toBe(426);
    expect(await tryConnect(`${gateway.wsUrl}/other`, { session: world.addViewer().session })).toMatchObject({
      status: 404,
    });
  });
});

test('a full gateway says 503 before it looks at anything else', async () => {
  const full = await world.start({ instanceId: 'full', env: { LIVE_MAX_CONNECTIONS: '1' } });
  const { session } = world.addViewer();
  using viewer = await connect(full.wsUrl, { session });
  expect(await tryConnect(full.wsUrl, { origin: 'https://evil.example.org' })).toMatchObject({ status: 503 });
  viewer.socket.close();
  await viewer.closed();
  await expect.poll(() => full.metric('live_connections')).toBe(0);
  (await connect(full.wsUrl, { session }))[Symbol.dispose]();
});

test('a client without an Origin is let in where that is configured', async () => {
  const open = await world.start({ instanceId: 'open', env: { LIVE_ALLOWED_ORIGINS: 'none' } });
  using viewer = await connect(open.wsUrl, { session: world.addViewer().session, origin: '' });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
});
