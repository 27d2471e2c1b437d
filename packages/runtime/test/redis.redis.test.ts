import { createServer } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { failSnapshots } from '@app/test-kit/fail-snapshots';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { beforeEach, describe, expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { closeRedis, connectRedis, waitForRedis } from '../src/redis.ts';
import type { Redis } from '../src/redis.ts';

const never = new AbortController().signal;

let { log, lines, messages } = captureLog();

beforeEach(() => {
  ({ log, lines, messages } = captureLog());
});

/** A client that is closed at the end of the block. */
function connect(
  url: string,
  options: { readonly blocking?: boolean } = {},
): AsyncDisposable & { readonly redis: Redis } {
  const redis = connectRedis(url, { name: 'test-reader', log, ...options });
  return { redis, [Symbol.asyncDispose]: () => closeRedis(redis) };
}

/** Handles the rejection immediately, so that it is never unhandled. */
async function rejectionOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'resolved',
    (error: unknown) => String(error instanceof Error ? error.message : error),
  );
}

async function isBlockedInRedis(url: string): Promise<boolean> {
  await using admin = connect(url);
  return (await admin.redis.info('clients')).includes('blocked_clients:1');
}

describe('connectRedis', () => {
  test('connects with the first command and sets the connection name', async () => {
    const { url } = await startRedis();
    await using client = connect(url);
    expect(client.redis.status).toBe('wait');
    expect(await client.redis.client('GETNAME')).toBe('test-reader');
    expect(messages()).toEqual(['redis: connected']);
  });

  test('rejects a blocked read when its connection is lost, and reconnects', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url, { blocking: true });
    const outcome = rejectionOf(client.redis.xread('BLOCK', 0, 'STREAMS', 'telemetry', '$'));
    await eventually(() => isBlockedInRedis(server.url));
    await server.kill();
    expect(await outcome).toContain('max retries per request');
    await server.start();
    await waitForRedis(client.redis, { signal: never });
    expect(await client.redis.ping()).toBe('PONG');
  });

  test('does not resend a command that may have been executed', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await client.redis.ping();
    server.pause();
    const outcome = rejectionOf(client.redis.xadd('telemetry', '*', 'a', 'b'));
    await server.kill();
    expect(await outcome).toContain('max retries per request');
    await server.start();
    await waitForRedis(client.redis, { signal: never });
    expect(await client.redis.xlen('telemetry')).toBe(0);
  });

  test('rejects commands during an outage', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await client.redis.ping();
    await server.kill();
    await expect(client.redis.ping()).rejects.toThrow('max retries per request');
  });

  test('rejects a command without a reply, and closes the connection', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await client.redis.ping();
    server.pause();
    await expect(client.redis.ping()).rejects.toThrow('Command timed out');
    await eventually(() => lines.some((line) => line.includes('Socket timeout')), {
      timeoutMs: 10_000,
    });
    server.resume();
    await waitForRedis(client.redis, { signal: never });
  });

  test('a blocking read has no command timeout', async () => {
    const { url, keyPrefix } = await startRedis();
    await using client = connect(url, { blocking: true });
    // Longer than the timeout of other commands.
    expect(await client.redis.xread('BLOCK', 5_500, 'STREAMS', `${keyPrefix}empty`, '$')).toBeNull();
  });

  test('logs the start and the end of an outage once', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await waitForRedis(client.redis, { signal: never });
    await server.kill();
    let attempts = 0;
    client.redis.on('reconnecting', () => {
      attempts += 1;
    });
    await eventually(() => attempts > 4, { timeoutMs: 20_000 });
    await server.start();
    await waitForRedis(client.redis, { signal: never });
    const outage = messages().filter((message) => message.includes('reconnecting'));
    expect(outage.length).toBeLessThanOrEqual(3);
    expect(messages()[0]).toBe('redis: connected');
    expect(messages()).toContain('redis: connection lost; reconnecting');
    expect(messages().at(-1)).toBe('redis: connected');
  });

  test('logs what to check if access is denied, without credentials', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url.replace('//', '//app:hunter2@'));
    await expect(client.redis.ping()).rejects.toThrow('WRONGPASS');
    expect(messages()).toContain('redis: access denied; check user and password in REDIS_URL; reconnecting');
    expect(lines.join('')).not.toContain('hunter2');
  });
});

describe('waitForRedis', () => {
  test('does not wait for a Redis that answers but cannot save its data', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await failSnapshots(client.redis);
    await expect(client.redis.ping()).rejects.toThrow(/^MISCONF/u);
    await waitForRedis(client.redis, { signal: never });
  });

  test('waits for a server that starts later', async () => {
    await using server = await startOwnRedis();
    await server.stop();
    await using client = connect(server.url);
    const waiting = waitForRedis(client.redis, { signal: never });
    await eventually(() => lines.some((line) => line.includes('ECONNREFUSED')));
    await server.start();
    await waiting;
    expect(client.redis.status).toBe('ready');
  });

  test('rejects with the reason of the stop', async () => {
    await using client = connect('redis://127.0.0.1:1');
    const stop = new AbortController();
    const waiting = waitForRedis(client.redis, { signal: stop.signal });
    await eventually(() => lines.some((line) => line.includes('ECONNREFUSED')));
    stop.abort('stopped');
    await expect(waiting).rejects.toBe('stopped');
  });

  test('rejects with an error that retrying cannot fix', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url.replace('//', '//app:hunter2@'));
    await expect(waitForRedis(client.redis, { signal: never })).rejects.toThrow(
      /WRONGPASS.*; check user and password in REDIS_URL/u,
    );
  });
});

describe('closeRedis', () => {
  test('waits for outstanding replies', async () => {
    const { url, keyPrefix } = await startRedis();
    const redis = connectRedis(url, { name: 'test', log });
    await redis.ping();
    const replies = Promise.all(
      Array.from({ length: 1_000 }, (_, index) => redis.echo(`${keyPrefix}${index}`)),
    );
    await closeRedis(redis);
    expect(await replies).toHaveLength(1_000);
    expect(redis.status).toBe('end');
  });

  test('rejects a blocked read', async () => {
    await using server = await startOwnRedis();
    const redis = connectRedis(server.url, { name: 'test', log, blocking: true });
    const outcome = rejectionOf(redis.xread('BLOCK', 0, 'STREAMS', 'telemetry', '$'));
    await eventually(() => isBlockedInRedis(server.url));
    await closeRedis(redis);
    expect(await outcome).toBe('Connection is closed.');
  });

  test('rejects commands that wait for a connection between two attempts', async () => {
    const redis = connectRedis('redis://127.0.0.1:1', { name: 'test', log, blocking: true });
    await expect(redis.ping()).rejects.toThrow('max retries per request');
    expect(redis.status).toBe('reconnecting');
    const outcome = rejectionOf(redis.ping());
    await closeRedis(redis);
    expect(await outcome).toBe('Connection is closed.');
    expect(redis.status).toBe('end');
    await expect(redis.ping()).rejects.toThrow('Connection is closed');
  });

  test('does not wait for a server that does not respond', async () => {
    await using server = await startOwnRedis();
    const redis = connectRedis(server.url, { name: 'test', log });
    await redis.ping();
    server.pause();
    await closeRedis(redis);
    expect(redis.status).toBe('end');
    server.resume();
  });

  test('closes a client that never connected, and one that is already closed', async () => {
    await using accepting = await startSilentServer();
    const fresh = connectRedis(accepting.url, { name: 'test', log });
    await closeRedis(fresh);
    await closeRedis(fresh);
    expect(fresh.status).toBe('end');
    const connecting = connectRedis(accepting.url, { name: 'test', log });
    const outcome = rejectionOf(connecting.ping());
    await closeRedis(connecting);
    expect(await outcome).toBe('Connection is closed.');
  });

  test('does not log an outage', async () => {
    const { url } = await startRedis();
    const redis = connectRedis(url, { name: 'test', log });
    await redis.ping();
    await closeRedis(redis);
    expect(messages()).toEqual(['redis: connected']);
  });
});

async function startSilentServer(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', () => listening.resolve());
  await listening.promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `redis://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
