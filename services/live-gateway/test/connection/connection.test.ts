import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { readSessionCookie } from '../../src/access/session-cookie.ts';
import { createUpgradeHandler } from '../../src/server/handle-upgrade.ts';
import { listen } from '../../src/server/listen.ts';
import { closeReasons } from '../../src/connection/close-reasons.ts';
import type { Connection, ConnectionLimits } from '../../src/connection/connection.ts';
import { scheduleCloses, closeGracefully } from '../../src/connection/close-gracefully.ts';
import { createSocketHandlers } from '../../src/connection/socket-handlers.ts';
import { sweepConnections } from '../../src/connection/sweep-connections.ts';

/** A server that admits every client, and a record of its events. */
async function openServer(limits: Partial<ConnectionLimits> = {}) {
  const connections: Connection[] = [];
  const messages: string[] = [];
  const closes: number[] = [];
  let closedClients = 0;
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
          onMessage: (frame) => messages.push(frame),
          onClosed: () => {
            closedClients += 1;
          },
        };
      },
      limits: { highWaterBytes: 65_536, unansweredBytes: Infinity, maxQueuedReplies: 64, ...limits },
      traffic: {
        onSent: () => undefined,
        onDropped: () => (dropped += 1),
        onClosed: (code) => closes.push(code),
      },
      nowMs: () => nowMs,
    }),
    createUpgrade: (upgradeCork) =>
      createUpgradeHandler({
        admit: () => Promise.resolve({ isAdmitted: true, viewer }),
        upgradeCork,
        onPending: () => undefined,
        onResult: () => undefined,
      }),
  });
  onTestFinished(() => server[Symbol.dispose]());
  return {
    port: server.port,
    messages,
    closes,
    closedClients: () => closedClients,
    dropped: () => dropped,
    passMs: (ms: number) => {
      nowMs += ms;
    },
    nowMs: () => nowMs,
    /** Waits for the connection opened as number `count`. */
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

/** A client that sends the handshake and never reads. */
function openStalledClient(port: number): void {
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

function frames(count: number): readonly Buffer[] {
  return Array.from({ length: count }, () => frame);
}

function writeUntilLagging(connection: Connection): void {
  while (connection.canTake()) connection.writeRows(frames(100));
}

describe('a connection', () => {
  test('sends replies and rows in order', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const connection = await server.connection();
    const rows = Array.from({ length: 50 }, (_, n) => Buffer.from(`row ${n}`));
    connection.reply('first');
    expect(connection.writeRows(rows)).toBe(50);
    await eventually(() => received.length === 51);
    expect(received).toEqual(['first', ...rows.map(String)]);
  });

  test('takes no more rows above the high-water mark, drops none, and counts as lagging', async () => {
    const server = await openServer();
    openStalledClient(server.port);
    const connection = await server.connection();
    let taken = 0;
    for (let round = 0; round < 1_000 && connection.laggingSinceMs === undefined; round += 1) {
      taken += connection.writeRows(frames(100));
    }
    expect(connection.canTake()).toBe(false);
    expect(connection.writeRows([frame])).toBe(0);
    expect(taken).toBeGreaterThan(0);
    expect(server.dropped()).toBe(0);
    expect(connection.isOpen).toBe(true);
  });

  test('queues replies for a client that does not read, and closes at one above the limit', async () => {
    const server = await openServer({ highWaterBytes: 1_000, maxQueuedReplies: 3 });
    openStalledClient(server.port);
    const connection = await server.connection();
    writeUntilLagging(connection);
    for (const reply of ['1', '2', '3']) connection.reply(reply);
    expect(connection.isOpen).toBe(true);
    connection.reply('4');
    expect(connection.isOpen).toBe(false);
    expect(server.closes).toEqual([4002]);
    expect(server.closedClients()).toBe(1);
  });

  test('sends queued replies once the client reads again, before further rows', async () => {
    const server = await openServer({ highWaterBytes: 1_000 });
    const client = await openClient(server.port);
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const connection = await server.connection();
    client.pause();
    writeUntilLagging(connection);
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

  test('pings at half of the unanswered-bytes limit and stops writing at the limit', async () => {
    const server = await openServer({ unansweredBytes: 40_000 });
    openStalledClient(server.port);
    const connection = await server.connection();
    server.passMs(5_000);
    expect(connection.canTake()).toBe(true);
    // The kernel would take megabytes: only the pongs are missing.
    expect(connection.writeRows(frames(100))).toBe(41);
    expect(connection.canTake()).toBe(false);
    server.passMs(1_000);
    expect(connection.laggingSinceMs).toBe(5_000);
    expect(connection.writeRows([frame])).toBe(0);
    connection.reply('queued');
    // Unsolicited and repeated pongs are ignored.
    connection.notePong(7);
    expect(connection.canTake()).toBe(false);
    connection.notePong(1);
    expect(connection.canTake()).toBe(true);
    expect(connection.laggingSinceMs).toBeUndefined();
    connection.notePong(2);
    connection.notePong(1);
    expect(connection.writeRows(frames(100))).toBe(39);
  });

  test('takes any amount of rows for a client that answers pings', async () => {
    const server = await openServer({ unansweredBytes: 40_000 });
    const client = await openClient(server.port);
    let received = 0;
    client.on('message', () => (received += 1));
    const connection = await server.connection();
    let taken = 0;
    await eventually(
      () => {
        taken += connection.writeRows(frames(50));
        return taken >= 1_000;
      },
      { intervalMs: 1 },
    );
    await eventually(() => received === taken);
    expect(connection.isOpen).toBe(true);
  });

  test('sends a ping with a frame when one is due soon, so that the sweep sends none', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    const received: string[] = [];
    client.on('ping', () => received.push('ping'));
    client.on('message', () => received.push('row'));
    // Four flushes per second for five seconds, each followed by a sweep.
    for (let n = 0; n < 20; n += 1) {
      server.passMs(250);
      connection.writeRows([frame]);
      expect(connection.isPingDue(server.nowMs(), 10_000)).toBe(false);
    }
    await eventually(() => received.length === 22);
    // At 1.75 s and at 3.75 s.
    expect(received.flatMap((type, at) => (type === 'ping' ? [at] : []))).toEqual([7, 15]);
    server.passMs(2_000);
    expect(connection.isPingDue(server.nowMs(), 10_000)).toBe(true);
  });

  test('receives no messages after it was closed', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    client.send('hello');
    await eventually(() => server.messages.length === 1);
    connection.end(closeReasons.binaryMessage);
    const [code, reason] = await once(client, 'close');
    expect([code, String(reason)]).toEqual([4400, 'messages must be text']);
    expect(server.messages).toEqual(['hello']);
  });
});

describe('the sweep', () => {
  const limits = { pingIntervalMs: 10_000, lagLimitMs: 15_000, heartbeatMs: 25_000, maxAgeMs: 0 };

  test('pings connections when due, and closes those that do not answer', async () => {
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

  test('pings 2 s after a frame, and sends a heartbeat when no frame was sent', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const connection = await server.connection();
    const received: string[] = [];
    connection.onIdle = () => connection.reply('heartbeat');
    client.on('ping', () => received.push('ping'));
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const sweep = (): number =>
      sweepConnections([connection], server.nowMs(), { ...limits, pingIntervalMs: 1e9 });
    connection.reply('row');
    server.passMs(1_999);
    sweep();
    server.passMs(1);
    sweep();
    sweep();
    await eventually(() => received.length === 2);
    server.passMs(22_999);
    sweep();
    server.passMs(1);
    sweep();
    await eventually(() => received.includes('heartbeat'));
    expect(received.slice(0, 3)).toEqual(['row', 'ping', 'heartbeat']);
  });

  test('counts lagging connections, and closes those that lag for too long', async () => {
    const server = await openServer();
    openStalledClient(server.port);
    const connection = await server.connection();
    writeUntilLagging(connection);
    server.passMs(15_000);
    expect(sweepConnections([connection], server.nowMs(), limits)).toBe(1);
    server.passMs(1);
    expect(sweepConnections([connection], server.nowMs(), limits)).toBe(0);
    expect(server.closes).toEqual([4002]);
  });
});

test('the sweep closes a random share of the connections above the maximum age, and none without one', async () => {
  const server = await openServer();
  const [first, second] = await Promise.all([openClient(server.port), openClient(server.port)]);
  const all = [await server.connection(1), await server.connection(2)];
  const ageLimits = { pingIntervalMs: 1e9, lagLimitMs: 1e9, heartbeatMs: 1e9, maxAgeMs: 3_600_000 };
  server.passMs(3_600_000);
  sweepConnections(all, server.nowMs(), ageLimits, () => 0);
  server.passMs(1);
  sweepConnections(all, server.nowMs(), { ...ageLimits, maxAgeMs: 0 }, () => 0);
  expect(server.closes).toEqual([]);
  // A sweep closes 1 in 360 of them at random.
  const chances = [1 / 361, 1 / 359];
  const codes = Promise.race([once(first, 'close'), once(second, 'close')]);
  sweepConnections(all, server.nowMs(), ageLimits, () => chances.shift() ?? 1);
  expect((await codes)[0]).toBe(4000);
  expect(server.closes).toEqual([4000]);
});

describe('a graceful close', () => {
  test('sends each client a reconnect delay and closes with 1012, while the set shrinks', async () => {
    const server = await openServer();
    const clients = await Promise.all(Array.from({ length: 20 }, () => openClient(server.port)));
    const all = new Set<Connection>();
    for (let n = 1; n <= 20; n += 1) all.add(await server.connection(n));
    const received = clients.map(async (client) => {
      const messages: unknown[] = [];
      client.on('message', (data: Buffer) => messages.push(data.toString()));
      const [code] = await once(client, 'close');
      messages.push(code);
      return messages;
    });
    await closeGracefully(all, { windowMs: 50, reconnectMessage: (afterMs) => `reconnect ${afterMs < 50}` });
    expect(await Promise.all(received)).toEqual(Array.from({ length: 20 }, () => ['reconnect true', 1012]));
  });

  test('ends once all connections have closed, whatever the window', async () => {
    const server = await openServer();
    const [client] = await Promise.all([openClient(server.port), openClient(server.port)]);
    const all = [await server.connection(1), await server.connection(2)];
    client.terminate();
    await eventually(() => server.closedClients() === 1);
    const closing = closeGracefully(all, { windowMs: 86_400_000, reconnectMessage: String });
    for (const connection of all) connection.end(closeReasons.maxAge);
    await closing;
    expect(server.closedClients()).toBe(2);
  });

  test('spreads the closes evenly over the window, in random order', () => {
    const schedule = scheduleCloses(
      Array.from({ length: 1_000 }, (_, n) => n),
      20_000,
      Math.random,
    );
    expect(schedule.map(({ closeAtMs }) => closeAtMs)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => n * 20),
    );
    const order = schedule.map(({ connection }) => connection);
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
    const delaysMs = schedule.map(({ reconnectAfterMs }) => reconnectAfterMs);
    expect(new Set(delaysMs).size).toBeGreaterThan(100);
    expect(Math.min(...delaysMs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delaysMs)).toBeLessThan(1_000);
  });
});
