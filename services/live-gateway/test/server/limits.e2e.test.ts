import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({
    env: {
      LIVE_MAX_CONNECTIONS: '3',
      LIVE_WS_PING_INTERVAL_MS: '1000',
      LIVE_MAX_CONNECTION_AGE_MS: '4000',
      LIVE_MAX_HEADER_BYTES: '8192',
    },
  });
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

describe('a gateway', () => {
  test('accepts up to LIVE_MAX_CONNECTIONS, pending upgrades included, and refuses others with Retry-After', async () => {
    fixture.directus.misbehave('slow', { slowMs: 300 });
    const sessions = Array.from({ length: 8 }, () => fixture.addViewer().session);
    const outcomes = await Promise.all(sessions.map((session) => tryConnect(gateway.wsUrl, { session })));
    const refused = outcomes.filter((outcome) => 'status' in outcome);
    expect(refused).toEqual(Array.from({ length: 5 }, () => ({ status: 503, retryAfter: '10' })));
    expect(fixture.directus.calls.filter(({ path }) => path === '/users/me')).toHaveLength(3);
    for (const outcome of outcomes) if (!('status' in outcome)) outcome[Symbol.dispose]();
    await expect.poll(() => gateway.metric('live_connections')).toBe(0);
  });

  test('closes a connection without pongs with 4003, and one above the maximum age with 4000', async () => {
    const { session } = fixture.addViewer();
    using unresponsive = await connect(gateway.wsUrl, { session, answersPings: false });
    using responsive = await connect(gateway.wsUrl, { session });
    let pings = 0;
    responsive.socket.on('ping', () => (pings += 1));
    expect(await unresponsive.closed(15_000)).toBe(4003);
    expect(responsive.socket.readyState).toBe(responsive.socket.OPEN);
    expect(await responsive.closed(15_000)).toBe(4000);
    expect(pings).toBeGreaterThanOrEqual(2);
  });

  test('accepts a request head of several KiB, and answers 431 to one above the limit', async () => {
    const { session } = fixture.addViewer();
    const cookies = (bytes: number) => ({
      cookie: `a=${'x'.repeat(bytes)}; directus_session_token=${session}`,
    });
    using viewer = await connect(gateway.wsUrl, { headers: cookies(7_000) });
    expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    expect(await tryConnect(gateway.wsUrl, { headers: cookies(9_000) })).toMatchObject({ status: 431 });
  });

  test('closes connections that do not speak HTTP, and keeps serving', async () => {
    const { port } = new URL(gateway.wsUrl);
    for (const garbage of ['\0\0\0\0\r\n\r\n', 'HELO example.org\r\n\r\n', `GET /ws-live HTTP/0.9\r\n\r\n`]) {
      const socket = connectTcp(Number(port), '127.0.0.1');
      const received = listenTo(socket);
      socket.write(garbage);
      await eventually(() => received.isClosed());
      expect(received.data()).not.toContain('101');
    }
    (await connect(gateway.wsUrl, { session: fixture.addViewer().session }))[Symbol.dispose]();
  });
});

test('without a trusted proxy the client address comes from the socket', async () => {
  const callsBefore = fixture.directus.calls.length;
  using viewer = await connect(gateway.wsUrl, {
    session: fixture.addViewer().session,
    headers: { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' },
  });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  const calls = fixture.directus.calls.slice(callsBefore);
  expect(calls.map(({ clientAddress }) => clientAddress)).toEqual(['127.0.0.1']);
  expect(calls[0]?.headerNames).not.toContain('forwarded');
  expect(calls[0]?.headerNames).not.toContain('x-real-ip');
});

function listenTo(socket: Socket): { isClosed(): boolean; data(): string } {
  let received = '';
  let isClosed = false;
  // A reset is one of the ways in which the gateway may close it.
  socket.on('error', () => undefined);
  socket.on('data', (data) => {
    received += data.toString('latin1');
  });
  socket.on('close', () => {
    isClosed = true;
  });
  return { isClosed: () => isClosed, data: () => received };
}
