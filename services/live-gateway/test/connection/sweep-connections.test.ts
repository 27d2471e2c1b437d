import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { sweepConnections } from '../../src/connection/sweep-connections.ts';
import { openClient, openServer, openStalledClient, writeUntilLagging } from '../support/socket-server.ts';

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
