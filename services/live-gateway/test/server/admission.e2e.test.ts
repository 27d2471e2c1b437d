import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { requestUpgrade } from '../support/request-upgrade.ts';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';
import type { Handshake, Refusal } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({
    env: {
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      DIRECTUS_AUTH_TIMEOUT_MS: '400',
      LIVE_MAX_CONNECTIONS_PER_USER: '2',
    },
  });
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

async function refusalOf(handshake: Handshake): Promise<Refusal> {
  const refusal = await tryConnect(gateway.wsUrl, handshake);
  if (!('status' in refusal)) throw new Error('the request was accepted');
  return refusal;
}

describe('a request to upgrade', () => {
  test('with a valid session is accepted, and Directus gets only the session cookie and the address', async () => {
    const { session } = fixture.addViewer();
    const callsBefore = fixture.directus.calls.length;
    using viewer = await connect(gateway.wsUrl, {
      session,
      headers: { 'x-forwarded-for': '203.0.113.9, 198.51.100.4', authorization: 'Bearer stolen' },
    });
    expect(viewer.socket.protocol).toBe('');
    const calls = fixture.directus.calls.slice(callsBefore);
    expect(calls.map(({ path }) => path)).toEqual(['/users/me']);
    expect(calls[0]?.cookieNames).toEqual(['directus_session_token']);
    expect(calls[0]?.clientAddress).toBe('198.51.100.4');
    expect(calls[0]?.headerNames).not.toContain('authorization');
    expect(calls[0]?.headerNames).not.toContain('origin');
  });

  test("has the client address of the proxy's X-Forwarded-For, even as a separate header line", async () => {
    const { session } = fixture.addViewer();
    const callsBefore = fixture.directus.calls.length;
    const upgrade = requestUpgrade(gateway.wsUrl, {
      cookie: `directus_session_token=${session}`,
      'x-forwarded-for': ['203.0.113.9', '198.51.100.4'],
    });
    const [, socket] = await once(upgrade, 'upgrade');
    socket.destroy();
    const calls = fixture.directus.calls.slice(callsBefore);
    expect(calls.map(({ clientAddress }) => clientAddress)).toEqual(['198.51.100.4']);
  });

  test('without a session cookie gets a 401 without a Directus call', async () => {
    const callsBefore = fixture.directus.calls.length;
    expect((await refusalOf({})).status).toBe(401);
    expect((await refusalOf({ headers: { cookie: 'directus_session_token=' } })).status).toBe(401);
    expect((await refusalOf({ headers: { cookie: 'directus_session_token=a b' } })).status).toBe(401);
    expect(fixture.directus.calls.length).toBe(callsBefore);
  });

  test.each([
    'https://evil.example.org',
    'null',
    'https://live.example.org:8443',
    'http://live.example.org',
    '',
  ])('from the origin %j gets a 403 without a Directus call', async (origin) => {
    const { session } = fixture.addViewer();
    const callsBefore = fixture.directus.calls.length;
    expect((await refusalOf({ session, origin })).status).toBe(403);
    expect(fixture.directus.calls.length).toBe(callsBefore);
  });

  test('with an expired, a foreign or an unknown session gets a 401', async () => {
    const { session } = fixture.addViewer();
    fixture.directus.expireSession(session);
    expect((await refusalOf({ session })).status).toBe(401);
    fixture.directus.addForeignSession('foreign');
    expect((await refusalOf({ session: 'foreign' })).status).toBe(401);
    expect((await refusalOf({ session: `unknown-${randomUUID()}` })).status).toBe(401);
  });

  test('with a share token, which has no user, gets a 401', async () => {
    fixture.directus.addShareToken('share');
    expect((await refusalOf({ session: 'share' })).status).toBe(401);
  });

  test.each(['429', '500', '503', 'hang', 'refuse', 'page', 'redirect'] as const)(
    'gets a 503 with Retry-After while Directus answers %s, and is accepted once it recovers',
    async (mode) => {
      const { session } = fixture.addViewer();
      fixture.directus.misbehave(mode);
      const { status, retryAfter } = await refusalOf({ session });
      expect(status).toBe(503);
      expect(Number(retryAfter)).toBeGreaterThan(0);
      await fixture.healDirectus();
      (await connect(gateway.wsUrl, { session }))[Symbol.dispose]();
    },
  );

  test('is answered from the cache for a session just checked, with one call for concurrent requests', async () => {
    const { session } = fixture.addViewer();
    const callsBefore = fixture.directus.calls.length;
    const viewers = await Promise.all(Array.from({ length: 2 }, () => connect(gateway.wsUrl, { session })));
    using again = await connect(gateway.wsUrl, { session });
    expect(again.socket.readyState).toBe(again.socket.OPEN);
    expect(fixture.directus.calls.length - callsBefore).toBe(1);
    for (const viewer of viewers) viewer[Symbol.dispose]();
  });

  test("above the limit per user closes the user's oldest connection with 4403", async () => {
    const { session } = fixture.addViewer();
    using first = await connect(gateway.wsUrl, { session });
    using second = await connect(gateway.wsUrl, { session });
    using third = await connect(gateway.wsUrl, { session });
    expect(await first.closed()).toBe(4403);
    for (const viewer of [second, third]) {
      viewer.send({ type: 'ping' });
      await viewer.next('pong');
    }
  });

  test('aborted by the client during the Directus call is counted, and others are accepted', async () => {
    const { session } = fixture.addViewer();
    fixture.directus.misbehave('slow', { slowMs: 150 });
    const callsBefore = fixture.directus.calls.length;
    const abortedBefore = await gateway.metric('live_upgrades_total', { result: 'aborted' });
    const request = requestUpgrade(gateway.wsUrl, { cookie: `directus_session_token=${session}` });
    await expect.poll(() => fixture.directus.calls.length).toBe(callsBefore + 1);
    request.destroy();
    await expect
      .poll(() => gateway.metric('live_upgrades_total', { result: 'aborted' }))
      .toBe(abortedBefore + 1);
    fixture.directus.misbehave('ok');
    (await connect(gateway.wsUrl, { session: fixture.addViewer().session }))[Symbol.dispose]();
  });

  test('with Connection: close gets a 400', async () => {
    const { session } = fixture.addViewer();
    const upgrade = requestUpgrade(gateway.wsUrl, {
      connection: 'close',
      cookie: `directus_session_token=${session}`,
    });
    const [response] = await once(upgrade, 'response');
    expect(response).toMatchObject({ statusCode: 400 });
  });

  test('results in a lasting connection, for many concurrent clients', async () => {
    for (let round = 0; round < 6; round += 1) {
      const sessions = Array.from({ length: 50 }, () => fixture.addViewer().session);
      const viewers = await Promise.all(sessions.map((session) => connect(gateway.wsUrl, { session })));
      for (const viewer of viewers) viewer.send({ type: 'ping' });
      for (const viewer of viewers) await viewer.next('pong');
      for (const viewer of viewers) viewer[Symbol.dispose]();
    }
    expect(gateway.output()).not.toContain('Warning');
  });
});

describe('other requests', () => {
  test('get a 404 on another path, and a 426 without an upgrade', async () => {
    const base = gateway.wsUrl.replace('ws:', 'http:');
    expect((await fetch(base.replace('/ws-live', '/'))).status).toBe(404);
    expect((await fetch(`${base}/x`)).status).toBe(404);
    expect((await fetch(base)).status).toBe(426);
    expect(
      await tryConnect(`${gateway.wsUrl}/other`, { session: fixture.addViewer().session }),
    ).toMatchObject({
      status: 404,
    });
  });
});

test('a full gateway answers 503 before any other check', async () => {
  const full = await fixture.start({ instanceId: 'full', env: { LIVE_MAX_CONNECTIONS: '1' } });
  const { session } = fixture.addViewer();
  using viewer = await connect(full.wsUrl, { session });
  expect(await tryConnect(full.wsUrl, { origin: 'https://evil.example.org' })).toMatchObject({ status: 503 });
  viewer.socket.close();
  await viewer.closed();
  await expect.poll(() => full.metric('live_connections')).toBe(0);
  (await connect(full.wsUrl, { session }))[Symbol.dispose]();
});

test('a client without an Origin is accepted if configured', async () => {
  const open = await fixture.start({ instanceId: 'open', env: { LIVE_ALLOWED_ORIGINS: 'none' } });
  using viewer = await connect(open.wsUrl, { session: fixture.addViewer().session, origin: '' });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
});
