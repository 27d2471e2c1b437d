import { connect as connectTcp } from 'node:net';
import { expect, test } from 'vitest';
import { openWorld } from './testing/open-world.ts';
import { startGateway } from './testing/start-gateway.ts';
import { connect } from './testing/viewer.ts';

test('told to stop, a gateway sends everyone away with 1012, removes its bookmark and exits 0', async () => {
  await using world = await openWorld();
  const { eventId } = await world.addEvent(1);
  await world.redis.xadd(world.stream, '*', 'not', 'a record');
  const gateway = await world.start({ instanceId: 'one' });
  await gateway.ready();
  const { session } = world.addViewer(eventId);
  const viewers = await Promise.all(Array.from({ length: 10 }, () => connect(gateway.wsUrl, { session })));
  for (const viewer of viewers) viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  for (const viewer of viewers) await viewer.next('subscribed');
  const bookmarks = async (): Promise<string> =>
    JSON.stringify(await world.redis.xinfo('GROUPS', world.stream));
  await expect.poll(bookmarks).toContain('live-broadcast-one');
  const exitCode = gateway.stop();
  for (const viewer of viewers) expect(await viewer.closed()).toBe(1012);
  expect(await exitCode).toBe(0);
  expect(await bookmarks()).not.toContain('live-broadcast-one');
  expect(gateway.output()).not.toContain('"level":"error"');
});

test('told to stop while Redis and Postgres are away, a gateway still exits 0', async () => {
  await using world = await openWorld();
  const gateway = await world.start({
    redisUrl: 'redis://127.0.0.1:1',
    postgresUrl: 'postgres://nobody@127.0.0.1:1/none',
  });
  await expect
    .poll(() => gateway.log.filter(({ level }) => level === 'warn').length)
    .toBeGreaterThanOrEqual(2);
  expect(await gateway.stop()).toBe(0);
});

test('a port that is in use, and a wrong configuration, end a gateway with a message that says so', async () => {
  await using world = await openWorld();
  const gateway = await world.start();
  const port = new URL(gateway.wsUrl).port;
  const options = {
    redisUrl: world.redisUrl,
    postgresUrl: world.postgresUrl,
    directusUrl: world.directus.url,
    stream: world.stream,
  };
  await expect(startGateway({ ...options, env: { LIVE_WS_PORT: port } })).rejects.toThrow(
    new RegExp(`exit code 1;.*port ${port}: is it in use`, 's'),
  );
  await expect(startGateway({ ...options, env: { LIVE_ALLOWED_ORIGINS: '*' } })).rejects.toThrow(
    /exit code 78;.*LIVE_ALLOWED_ORIGINS "\*" is no origin/s,
  );
});

test('nobody is let in over a connection that was open before the stop', async () => {
  await using world = await openWorld();
  const gateway = await world.start();
  await gateway.ready();
  const { hostname, port } = new URL(gateway.wsUrl);
  const socket = connectTcp(Number(port), hostname);
  socket.on('error', () => undefined);
  let heard = '';
  socket.on('data', (data) => {
    heard += data.toString();
  });
  socket.write('GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n');
  await expect.poll(() => heard).toContain('404');
  const exitCode = gateway.stop();
  socket.write(
    'GET /ws-live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  expect(await exitCode).toBe(0);
  expect(heard).not.toContain('101 Switching');
});
