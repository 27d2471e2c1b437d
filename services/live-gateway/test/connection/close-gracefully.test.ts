import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { closeGracefully, scheduleCloses } from '../../src/connection/close-gracefully.ts';
import { closeReasons } from '../../src/connection/close-reasons.ts';
import type { Connection } from '../../src/connection/connection.ts';
import { openClient, openServer } from '../support/socket-server.ts';

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
    await closeGracefully(all, {
      windowMs: 50,
      reconnectMessage: (afterMs) => `reconnect ${afterMs < 50}`,
      nowMs: () => performance.now(),
    });
    expect(await Promise.all(received)).toEqual(Array.from({ length: 20 }, () => ['reconnect true', 1012]));
  });

  test('ends once all connections have closed, whatever the window', async () => {
    const server = await openServer();
    const [client] = await Promise.all([openClient(server.port), openClient(server.port)]);
    const all = [await server.connection(1), await server.connection(2)];
    client.terminate();
    await eventually(() => server.closedClients() === 1);
    const closing = closeGracefully(all, {
      windowMs: 86_400_000,
      reconnectMessage: String,
      nowMs: () => performance.now(),
    });
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
