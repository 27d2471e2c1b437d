import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';

let world: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  world = await openFixture();
  gateway = await world.start({
    env: {
      LIVE_MAX_CONNECTIONS: '3',
      LIVE_WS_PING_INTERVAL_MS: '1000',
      LIVE_MAX_CONNECTION_AGE_MS: '4000',
      LIVE_MAX_HEADER_BYTES: '8192',
    },
  });
});

afterAll(() => world[Symbol.asyncDispose]());

beforeEach(() => world.healDirectus());

describe('a gateway', () => {
  test('lets in as many as it may, those who are still being checked included, and tells the others when to come back', async () => {
    world.directus.misbehave('slow', { slowMs: 300 });
    const sessions = Array.from({ length: 8 }, () => world.addViewer().session);
    const outcomes = await Promise.all(sessions.map((session) => tryConnect(gateway.wsUrl, { session })));
    const refused = outcomes.filter((outcome) => 'status' in outcome);
    expect(refused).toEqual(Array.from({ length: 5 }, () => ({ status: 503, retryAfter: '10' })));
    expect(world.directus.calls.filter(({ path }) => path === '/users/me')).toHaveLength(3);
    for (const outcome of outcomes) if (!('status' in outcome)) outcome[Symbol.dispose]();
    await expect.poll(() => gateway.metric('live_connections')).toBe(0);
  });

  test('closes with 4003 whoever gives no sign of life, and with 4000 whoever has been there for long enough', async () => {
    const { session } = world.addViewer();
    using dead = await connect(gateway.wsUrl, { session, answersPings: false });
    using alive = await connect(gateway.wsUrl, { session });
    let pings = 0;
    alive.socket.on('ping', () => (pings += 1));
    expect(await dead.closed(15_000)).toBe(4003);
    expect(alive.socket.readyState).toBe(alive.socket.OPEN);
    expect(await alive.closed(15_000)).toBe(4000);
    expect(pings).toBeGreaterThanOrEqual(2);
  });

  test('takes a head of several KiB, and answers 431 to one that is too long', async () => {
    const { session } = world.addViewer();
    const cookies = (bytes: number) => ({
      cookie: `a=${'x'.repeat(bytes)}; directus_session_token=${session}`,
    });
    using viewer = await connect(gateway.wsUrl, { headers: cookies(7_000) });
    expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    expect(await tryConnect(gateway.wsUrl, { headers: cookies(9_000) })).toMatchObject({ status: 431 });
  });

  test('answers 400 to what is no HTTP, and goes on', async () => {
    const { port } = new URL(gateway.wsUrl);
    for (const garbage of ['\0\0\0\0\r\n\r\n', 'HELO example.org\r\n\r\n', `GET /ws-live HTTP/0.9\r\n\r\n`]) {
      const socket = connectTcp(Number(port), '127.0.0.1');
      const heard = listenTo(socket);
      socket.write(garbage);
      await eventually(() => heard.isClosed());
      expect(heard.text()).not.toContain('101');
    }
    (await connect(gateway.wsUrl, { session: world.addViewer().session }))[Symbol.dispose]();
  });
});

test('without a trusted proxy nobody is believed about an address', async () => {
  const callsBefore = world.directus.calls.length;
  using viewer = await connect(gateway.wsUrl, {
    session: world.addViewer().session,
    headers: { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' },
  });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  const calls = world.directus.calls.slice(callsBefore);
  expect(calls.map(({ clientAddress }) => clientAddress)).toEqual(['127.0.0.1']);
  expect(calls[0]?.headerNames).not.toContain('forwarded');
  expect(calls[0]?.headerNames).not.toContain('x-real-ip');
});

function listenTo(socket: Socket): { isClosed(): boolean; text(): string } {
  let heard = '';
  let isClosed = false;
  // That the gateway resets it is one of the ways to end it.
  socket.on('error', () => undefined);
  socket.on('data', (data) => {
    heard += data.toString('latin1');
  });
  socket.on('close', () => {
    isClosed = true;
  });
  return { isClosed: () => isClosed, text: () => heard };
}
