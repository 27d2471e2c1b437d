import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { closeReasons } from '../../src/connection/close-reasons.ts';
import {
  frame,
  frames,
  openClient,
  openServer,
  openStalledClient,
  writeUntilLagging,
} from '../support/socket-server.ts';

describe('a connection', () => {
  test('sends replies and rows in order', async () => {
    const server = await openServer();
    const client = await openClient(server.port);
    const received: string[] = [];
    client.on('message', (data: Buffer) => received.push(data.toString()));
    const connection = await server.connection();
    const rows = Array.from({ length: 50 }, (_, n) => Buffer.from(`row ${n}`));
    connection.reply('first');
    expect(connection.writeFrames(rows)).toBe(50);
    await eventually(() => received.length === 51);
    expect(received).toEqual(['first', ...rows.map(String)]);
  });

  test('takes no more rows above the high-water mark, drops none, and counts as lagging', async () => {
    const server = await openServer();
    openStalledClient(server.port);
    const connection = await server.connection();
    let taken = 0;
    for (let round = 0; round < 1_000 && connection.laggingSinceMs === undefined; round += 1) {
      taken += connection.writeFrames(frames(100));
    }
    expect(connection.isWritable()).toBe(false);
    expect(connection.writeFrames([frame])).toBe(0);
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
    expect(connection.writeFrames([Buffer.from('row')])).toBe(0);
    client.resume();
    await eventually(() => connection.isWritable());
    expect(connection.laggingSinceMs).toBeUndefined();
    expect(connection.writeFrames([Buffer.from('row')])).toBe(1);
    await eventually(() => received.at(-1) === 'row');
    expect(received.slice(-3)).toEqual(['reply 1', 'reply 2', 'row']);
  });

  test('pings at half of the unanswered-bytes limit and stops writing at the limit', async () => {
    const server = await openServer({ unansweredBytes: 40_000 });
    openStalledClient(server.port);
    const connection = await server.connection();
    server.passMs(5_000);
    expect(connection.isWritable()).toBe(true);
    // The kernel would take megabytes: only the pongs are missing.
    expect(connection.writeFrames(frames(100))).toBe(41);
    expect(connection.isWritable()).toBe(false);
    server.passMs(1_000);
    expect(connection.laggingSinceMs).toBe(5_000);
    expect(connection.writeFrames([frame])).toBe(0);
    connection.reply('queued');
    // Unsolicited and repeated pongs are ignored.
    connection.notePong(7);
    expect(connection.isWritable()).toBe(false);
    connection.notePong(1);
    expect(connection.isWritable()).toBe(true);
    expect(connection.laggingSinceMs).toBeUndefined();
    connection.notePong(2);
    connection.notePong(1);
    expect(connection.writeFrames(frames(100))).toBe(39);
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
        taken += connection.writeFrames(frames(50));
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
      connection.writeFrames([frame]);
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
