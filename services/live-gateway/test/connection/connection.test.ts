import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { readSessionCookie } from '../../src/access/session-cookie.ts';
import { createUpgradeHandler } from '../../src/server/handle-upgrade.ts';
import { listen } from '../../src/server/listen.ts';
import { closeReasons } from '../../src/connection/close-reasons.ts';
import type { Connection } from '../../src/connection/connection.ts';
import { scheduleCloses, closeGracefully } from '../../src/connection/close-gracefully.ts';
import { createSocketHandlers } from '../../src/connection/socket-handlers.ts';
import { sweepConnections } from '../../src/connection/sweep-connections.ts';

/** A server that lets everybody in, and what happens at it. */
async function openServer(
  limits = { highWaterBytes: 65_536, unansweredBytes: Infinity, maxQueuedReplies: 64 },
) {
  const connections: Connection[] = [];
  const messages: string[] = [];
  const closes: number[] = [];
  let gone = 0;
  let dropped = 0;
  let nowMs = 0;
  const cookie = readSessionCookie('s=x', 's');
  if (cookie === undefined) throw new Error('no cookie');
  const viewer = { cookie, address: '127.0.0.1', userId: 'u' };
  const server = await listen({
    host: '127.0.0.1',
    port: 0,
    path: '/ws',
    maxHeaderBytes: 4_096,
    handlers: createSocketHandlers({
      onOpen: (connection) => {
        connections.push(connection);
        return {
          onMessage: (text) => messages.push(text),
          onClosed: () => {
            gone += 1;
          },
        };
      },
      limits,
      traffic: {
        onSent: () => undefined,
        onDropped: () => (dropped += 1),
        onClosed: (code) => closes.push(code),
      },
      nowMs: () => nowMs,
    }),
    createUpgrade: (desk) =>
      createUpgradeHandler({
        admit: () => Promise.resolve({ isAdmitted: true, viewer }),
        desk,
        onPending: () => undefined,
        onResult: () => undefined,
      }),
  });
  onTestFinished(() => server[Symbol.dispose]());
  return {
    port: server.port,
    messages,
    closes,
    gone: () => gone,
    dropped: () => dropped,
    passMs: (ms: number) => {
      nowMs += ms;
    },
    nowMs: () => nowMs,
    /** The connection that has come last, once there are so many. */
    connection: (count = 1) =>
      eventually(() => (connections.length >= count ? connections[count - 1] : undefined)),
  };
}

async function openClient(port: number): Promise<WebSocket> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  client.on('error', () => undefined);
  onTestFinished(() => client.terminate());
  await once(client, 'open');
  return client;
}

/** A client that shakes hands and then never reads again. */
function openDeafClient(port: number): void {
  const socket = connectTcp({ port, host: '127.0.0.1', onread: undefined });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(
    'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
}

const frame = Buffer.alloc(1_000, 'x');

describe('a connection', () => {
  test('takes everything a reader can take, in order', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const connection = await server.connection();
    const frames = Array.from({ length: 50 }, (_, n) => Buffer.from(`row ${n}`));
    connection.reply('first');
    expect(connection.writeRows(frames)).toBe(50);
    await eventually(() => received.length === 51);
    expect(received).toEqual(['first', ...frames.map(String)]);
  });

  test('takes no more rows from the high-water mark on, loses none of them, and lags', async () => {
    const server = await openServer();
    openDeafClient(server.port);
    const connection = await server.connection();
    let taken = 0;
    for (let round = 0; round < 1_000 && connection.laggingSinceMs === undefined; round += 1) {
      taken += connection.writeRows(Array.from({ length: 100 }, () => frame));
    }
    expect(connection.canTake()).toBe(false);
    expect(connection.writeRows([frame])).toBe(0);
    expect(taken).toBeGreaterThan(0);
    expect(server.dropped()).toBe(0);
    expect(connection.isOpen).toBe(true);
  });

  test('keeps so many replies for one who does not read, and closes at one more', async () => {
    const server = await openServer({
      highWaterBytes: 1_000,
      unansweredBytes: Infinity,
      maxQueuedReplies: 3,
    });
    openDeafClient(server.port);
    const connection = await server.connection();
    while (connection.canTake()) connection.writeRows(Array.from({ length: 100 }, () => frame));
    for (const reply of ['1', '2', '3']) connection.reply(reply);
    expect(connection.isOpen).toBe(true);
    connection.reply('4');
    expect(connection.isOpen).toBe(false);
    expect(server.closes).toEqual([4002]);
    expect(server.gone()).toBe(1);
  });

  test('sends what was kept as soon as the client reads again, replies before rows', async () => {
    const server = await openServer({
      highWaterBytes: 1_000,
      unansweredBytes: Infinity,
      maxQueuedReplies: 64,
    });
    const client = await openClient(server.port);
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const connection = await server.connection();
    client.pause();
    while (connection.canTake()) connection.writeRows(Array.from({ length: 100 }, () => frame));
    connection.reply('reply 1');
    connection.reply('reply 2');
    expect(connection.writeRows([Buffer.from('row')])).toBe(0);
    client.resume();
    await eventually(() => connection.canTake());
    expect(connection.laggingSinceMs).toBeUndefined();
    expect(connection.writeRows([Buffer.from('row')])).toBe(1);
    await eventually(() => received.at(-1) === 'row');
    expect(received.slice(-3)).toEqual(['reply 1', 'reply 2', 'row']);
  });

  test('asks twice within what may be unanswered how far the client has read, and holds back the rest', async () => {
    const server = await openServer({
      highWaterBytes: 65_536,
      unansweredBytes: 40_000,
      maxQueuedReplies: 64,
    });
    openDeafClient(server.port);
    const connection = await server.connection();
    server.passMs(5_000);
    expect(connection.canTake()).toBe(true);
    // The kernel has room for megabytes: only the answers are missing.
    expect(connection.writeRows(Array.from({ length: 100 }, () => frame))).toBe(41);
    expect(connection.canTake()).toBe(false);
    server.passMs(1_000);
    expect(connection.laggingSinceMs).toBe(5_000);
    expect(connection.writeRows([frame])).toBe(0);
    connection.reply('kept');
    // An answer to what was not asked, or asked long ago, is none.
    connection.notePong(7);
    expect(connection.canTake()).toBe(false);
    connection.notePong(1);
    expect(connection.canTake()).toBe(true);
    expect(connection.laggingSinceMs).toBeUndefined();
    connection.notePong(2);
    connection.notePong(1);
    expect(connection.writeRows(Array.from({ length: 100 }, () => frame))).toBe(39);
  });

  test('of a reader takes any amount, for the reader answers', async () => {
    const server = await openServer({
      highWaterBytes: 65_536,
      unansweredBytes: 40_000,
      maxQueuedReplies: 64,
    });
    const client = await openClient(server.port);
    let received = 0;
    client.on('message', () => (received += 1));
    const connection = await server.connection();
    let taken = 0;
    await eventually(
      () => {
        taken += connection.writeRows(Array.from({ length: 50 }, () => frame));
        return taken >= 1_000;
      },
      { intervalMs: 1 },
    );
    await eventually(() => received === taken);
    expect(connection.isOpen).toBe(true);
  });

  test('asks with a frame what would have to be asked soon, and the sweep has nothing to ask', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    const heard: string[] = [];
    client.on('ping', () => heard.push('ping'));
    client.on('message', () => heard.push('row'));
    // Four flushes a second, for five seconds, and a sweep after each.
    for (let flush = 0; flush < 20; flush += 1) {
      server.passMs(250);
      connection.writeRows([frame]);
      expect(connection.isPingDue(server.nowMs(), 10_000)).toBe(false);
    }
    await eventually(() => heard.length === 22);
    // The first at 1.75 s, the second as long after it.
    expect(heard.flatMap((what, at) => (what === 'ping' ? [at] : []))).toEqual([7, 15]);
    server.passMs(2_000);
    expect(connection.isPingDue(server.nowMs(), 10_000)).toBe(true);
  });

  test('hears nothing more from a client after it was closed', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    client.send('heard');
    await eventually(() => server.messages.length === 1);
    connection.end(closeReasons.binaryMessage);
    const [code, reason] = await once(client, 'close');
    expect([code, String(reason)]).toEqual([4400, 'messages must be text']);
    expect(server.messages).toEqual(['heard']);
  });
});

describe('the sweep', () => {
  const limits = { pingIntervalMs: 10_000, lagLimitMs: 15_000, heartbeatMs: 25_000, maxAgeMs: 0 };

  test('pings whoever is due, and closes whoever has given no sign of life', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    let pings = 0;
    client.on('ping', () => (pings += 1));
    server.passMs(9_999);
    sweepConnections([connection], server.nowMs(), limits);
    server.passMs(1);
    sweepConnections([connection], server.nowMs(), limits);
    await eventually(() => pings === 1);
    await eventually(() => connection.lastActivityAtMs === 10_000);
    server.passMs(25_000);
    sweepConnections([connection], server.nowMs(), limits);
    expect(connection.isOpen).toBe(true);
    await eventually(() => connection.lastActivityAtMs === 35_000);
    client.pause();
    server.passMs(25_001);
    sweepConnections([connection], server.nowMs(), limits);
    expect(server.closes).toEqual([4003]);
  });

  test('asks a client that was sent a little, and tells one that was sent nothing that the server lives', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    const heard: string[] = [];
    connection.onIdle = () => connection.reply('beat');
    client.on('ping', () => heard.push('ping'));
    client.on('message', (data: Buffer) => heard.push(data.toString()));
    const sweep = (): number =>
      sweepConnections([connection], server.nowMs(), { ...limits, pingIntervalMs: 1e9 });
    connection.reply('row');
    server.passMs(1_999);
    sweep();
    server.passMs(1);
    sweep();
    sweep();
    await eventually(() => heard.length === 2);
    server.passMs(22_999);
    sweep();
    server.passMs(1);
    sweep();
    await eventually(() => heard.includes('beat'));
    expect(heard.slice(0, 3)).toEqual(['row', 'ping', 'beat']);
  });

  test('counts who lags, and cuts who lags for too long', async () => {
    const server = await openServer();
    openDeafClient(server.port);
    const connection = await server.connection();
    while (connection.canTake()) connection.writeRows(Array.from({ length: 100 }, () => frame));
    server.passMs(15_000);
    expect(sweepConnections([connection], server.nowMs(), limits)).toBe(1);
    server.passMs(1);
    expect(sweepConnections([connection], server.nowMs(), limits)).toBe(0);
    expect(server.closes).toEqual([4002]);
  });
});

test('the sweep asks the old to come again, not all at once, and nobody where no age is set', async () => {
  const server = await openServer();
  const [first, second] = await Promise.all([openClient(server.port), openClient(server.port)]);
  const all = [await server.connection(1), await server.connection(2)];
  const ofAge = { pingIntervalMs: 1e9, lagLimitMs: 1e9, heartbeatMs: 1e9, maxAgeMs: 3_600_000 };
  server.passMs(3_600_000);
  sweepConnections(all, server.nowMs(), ofAge, () => 0);
  server.passMs(1);
  sweepConnections(all, server.nowMs(), { ...ofAge, maxAgeMs: 0 }, () => 0);
  expect(server.closes).toEqual([]);
  // A sweep a second takes 1 in 360 of them: chance decides who.
  const chances = [1 / 361, 1 / 359];
  const codes = Promise.race([once(first, 'close'), once(second, 'close')]);
  sweepConnections(all, server.nowMs(), ofAge, () => chances.shift() ?? 1);
  expect((await codes)[0]).toBe(4000);
  expect(server.closes).toEqual([4000]);
});

describe('sending away', () => {
  test('tells everybody when to come back, then closes with 1012, though each leaves the set meanwhile', async () => {
    const server = await openServer();
    const clients = await Promise.all(Array.from({ length: 20 }, () => openClient(server.port)));
    const all = new Set<Connection>();
    for (let n = 1; n <= 20; n += 1) all.add(await server.connection(n));
    const heard = clients.map(async (client) => {
      const messages: unknown[] = [];
      client.on('message', (data: Buffer) => messages.push(data.toString()));
      const [code] = await once(client, 'close');
      messages.push(code);
      return messages;
    });
    await closeGracefully(all, { windowMs: 50, reconnectMessage: (afterMs) => `come back ${afterMs < 50}` });
    expect(await Promise.all(heard)).toEqual(Array.from({ length: 20 }, () => ['come back true', 1012]));
  });

  test('ends as soon as nobody is left, however long the window is', async () => {
    const server = await openServer();
    const [client] = await Promise.all([openClient(server.port), openClient(server.port)]);
    const all = [await server.connection(1), await server.connection(2)];
    client.terminate();
    await eventually(() => server.gone() === 1);
    const away = closeGracefully(all, { windowMs: 86_400_000, reconnectMessage: String });
    for (const connection of all) connection.end(closeReasons.maxAge);
    await away;
    expect(server.gone()).toBe(2);
  });

  test('spreads everybody evenly over the window, in another order than they came', () => {
    const departures = scheduleCloses(
      Array.from({ length: 1_000 }, (_, n) => n),
      20_000,
      Math.random,
    );
    expect(departures.map(({ closeAtMs: leaveAtMs }) => leaveAtMs)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => n * 20),
    );
    const order = departures.map(({ connection: who }) => who);
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
    const backAfterMs = departures.map((departure) => departure.reconnectAfterMs);
    expect(new Set(backAfterMs).size).toBeGreaterThan(100);
    expect(Math.min(...backAfterMs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...backAfterMs)).toBeLessThan(1_000);
  });
});
