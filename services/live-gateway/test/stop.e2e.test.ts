import { connect as connectTcp } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '@app/test-kit/eventually';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import { startGateway, testOrigin } from './support/start-gateway.ts';
import { connect, tryConnect } from './support/viewer.ts';

test('a stopping gateway becomes unready, keeps serving, and closes connections over the drain period', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(1);
  const device = deviceAt(devices);
  await fixture.redis.xadd(fixture.stream, '*', 'not', 'a record');
  const env = { LIVE_WS_DRAIN_NOTICE_MS: '1500', LIVE_WS_DRAIN_TIMEOUT_MS: '2000' };
  const gateway = await fixture.start({ instanceId: 'one', env });
  await gateway.ready();
  const { session } = fixture.addViewer(eventId);
  const viewers = await Promise.all(Array.from({ length: 20 }, () => connect(gateway.wsUrl, { session })));
  for (const viewer of viewers) viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 });
  for (const viewer of viewers) await viewer.next('subscribed');
  const closedAtMs: number[] = [];
  for (const viewer of viewers) viewer.socket.on('close', () => closedAtMs.push(Date.now()));
  const groups = async (): Promise<string> =>
    JSON.stringify(await fixture.redis.xinfo('GROUPS', fixture.stream));
  await expect.poll(groups, { timeout: 10_000 }).toContain('live-broadcast-one');

  const exitCode = gateway.stop();
  // Not ready; upgrades get a 503, which a proxy retries elsewhere; connected viewers are still served.
  await eventually(async () => {
    const response = await fetch(`${gateway.opsUrl}/readyz`);
    return response.status === 503 && (await response.text()).includes('draining');
  });
  expect((await fetch(`${gateway.opsUrl}/healthz`)).status).toBe(200);
  expect(await tryConnect(gateway.wsUrl, { session })).toMatchObject({ status: 503, retryAfter: '1' });
  const fix = fixOf(device);
  await fixture.publish(fix);
  for (const viewer of viewers) await viewer.next('position', ({ ts }) => ts === fix.fixAtMs);
  expect(closedAtMs).toEqual([]);

  // After the port is closed the feed continues: the last viewers get fixes published after the first close.
  const remainingCounts = new Set<number>();
  await eventually(
    async () => {
      await fixture.publish(fixOf(device));
      if (closedAtMs.length === viewers.length) return true;
      remainingCounts.add(await gateway.metric('live_drain_remaining').catch(() => 0));
      return false;
    },
    { timeoutMs: 15_000 },
  );
  for (const viewer of viewers) {
    expect(await viewer.closed()).toBe(1012);
    const last = viewer.messages.at(-1);
    expect(last?.type === 'reconnect' && last.afterMs >= 0 && last.afterMs < 1_000).toBe(true);
  }
  const newest = viewers
    .flatMap(({ messages }) => messages)
    .filter((message) => message.type === 'position')
    .map(({ ts }) => ts);
  expect(Math.max(...newest)).toBeGreaterThan(closedAtMs[0] ?? Number.POSITIVE_INFINITY);
  expect(remainingCounts.size).toBeGreaterThan(3);
  expect(await exitCode).toBe(0);
  expect(await groups()).not.toContain('live-broadcast-one');
  expect(gateway.output()).not.toContain('"level":"error"');
});

test('a stopping gateway without connections does not wait for the drain period', async () => {
  await using fixture = await openFixture();
  const gateway = await fixture.start({ env: { LIVE_WS_DRAIN_TIMEOUT_MS: '600000' } });
  await gateway.ready();
  expect(await gateway.stop()).toBe(0);
});

test('a gateway stopped while Redis and Postgres are unreachable exits 0', async () => {
  await using fixture = await openFixture();
  const gateway = await fixture.start({
    redisUrl: 'redis://127.0.0.1:1',
    postgresUrl: 'postgres://nobody@127.0.0.1:1/none',
  });
  await expect
    .poll(() => gateway.log.filter(({ level }) => level === 'warn').length)
    .toBeGreaterThanOrEqual(2);
  expect(await gateway.stop()).toBe(0);
});

test('a port in use or an invalid configuration ends the gateway with a message that names it', async () => {
  await using fixture = await openFixture();
  const gateway = await fixture.start();
  const port = new URL(gateway.wsUrl).port;
  const options = {
    redisUrl: fixture.redisUrl,
    postgresUrl: fixture.postgresUrl,
    directusUrl: fixture.directus.url,
    stream: fixture.stream,
  };
  await expect(startGateway({ ...options, env: { LIVE_WS_PORT: port } })).rejects.toThrow(
    new RegExp(`exit code 1\\..*port ${port}: is it in use`, 's'),
  );
  await expect(startGateway({ ...options, env: { LIVE_ALLOWED_ORIGINS: '*' } })).rejects.toThrow(
    /exit code 78\..*LIVE_ALLOWED_ORIGINS "\*" is not an origin/s,
  );
});

test('a stopping gateway refuses upgrades over kept-alive connections, before and after its port is closed', async () => {
  await using fixture = await openFixture();
  const gateway = await fixture.start({
    env: { LIVE_WS_DRAIN_NOTICE_MS: '700', LIVE_WS_DRAIN_TIMEOUT_MS: '3000' },
  });
  await gateway.ready();
  const { session } = fixture.addViewer();
  // With two connections the second one is closed half-way through the window.
  using first = await connect(gateway.wsUrl, { session });
  using second = await connect(gateway.wsUrl, { session });
  const { hostname, port } = new URL(gateway.wsUrl);
  const keptAlive = await Promise.all([1, 2].map(() => openKeptAlive(Number(port), hostname)));
  const exitCode = gateway.stop();
  await eventually(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status === 503);
  expect(await keptAlive[0]?.requestUpgrade(session)).toContain('503 Service Unavailable');
  await eventually(() => [first, second].some(({ socket }) => socket.readyState === socket.CLOSED), {
    timeoutMs: 10_000,
  });
  await expect(tryConnect(gateway.wsUrl, { session })).rejects.toThrow('ECONNREFUSED');
  expect(await keptAlive[1]?.requestUpgrade(session)).toContain('503 Service Unavailable');
  expect(await exitCode).toBe(0);
});

/** Opens a connection that has had one response and is kept alive. */
async function openKeptAlive(port: number, host: string) {
  const socket = connectTcp(port, host);
  socket.on('error', () => undefined);
  let received = '';
  socket.on('data', (data) => {
    received += data.toString();
  });
  socket.write('GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => received.includes('404'));
  return {
    /** Sends an upgrade request; resolves to the response. */
    requestUpgrade: async (session: string): Promise<string> => {
      received = '';
      socket.write(
        `GET /ws-live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: ${testOrigin}\r\n` +
          `Cookie: directus_session_token=${session}\r\n` +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      );
      return eventually(() => (received.includes('\r\n\r\n') ? received : undefined));
    },
  };
}
