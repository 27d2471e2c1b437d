import { createServer } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '../src/log.ts';
import type { Logger } from '../src/log.ts';
import { closeRedis, connectRedis, waitForRedis } from '../src/redis.ts';
import type { Redis } from '../src/redis.ts';

const never = new AbortController().signal;

let lines: string[];
let log: Logger;

beforeEach(() => {
  lines = [];
  log = createLog({
    service: 'test',
    instanceId: 'test-1',
    level: 'debug',
    destination: { write: (line) => void lines.push(line) },
  });
});

function messages(): readonly string[] {
  return lines.map((line) => /"msg":"([^"]*)"/u.exec(line)?.[1] ?? '');
}

/** A client that the block closes at its end. */
function connect(
  url: string,
  options: { readonly blocking?: boolean } = {},
): AsyncDisposable & { readonly redis: Redis } {
  const redis = connectRedis(url, { name: 'test-reader', log, ...options });
  return { redis, [Symbol.asyncDispose]: () => closeRedis(redis) };
}

/** Watched from the start, so that it is handled whenever it comes. */
async function rejectionOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'it resolved',
    (error: unknown) => String(error instanceof Error ? error.message : error),
  );
}

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

async function isBlockedInRedis(url: string): Promise<boolean> {
  await using admin = connect(url);
  return (await admin.redis.info('clients')).includes('blocked_clients:1');
}

describe('connectRedis', () => {
  test('connects with the first command and says its name to the server', async () => {
    const { url } = await startRedis();
    await using client = connect(url);
    expect(client.redis.status).toBe('wait');
    expect(await client.redis.client('GETNAME')).toBe('test-reader');
    expect(messages()).toEqual(['redis: connected']);
  });

  test('rejects a blocked read at once when its connection is lost, and connects again', async () => {
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

  test('sends no command a second time that may have been executed', async () => {
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

  test('rejects what is asked during an outage within some seconds', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await client.redis.ping();
    await server.kill();
    const ms = await millisecondsOf(() =>
      expect(client.redis.ping()).rejects.toThrow('max retries per request'),
    );
    expect(ms).toBeLessThan(5_000);
  });

  test('rejects a command that a silent server does not answer, and gives the connection up', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url);
    await client.redis.ping();
    server.pause();
    const ms = await millisecondsOf(() => expect(client.redis.ping()).rejects.toThrow('Command timed out'));
    expect(ms).toBeLessThan(7_000);
    await eventually(() => lines.some((line) => line.includes('Socket timeout')), {
      timeoutMs: 10_000,
    });
    server.resume();
    await waitForRedis(client.redis, { signal: never });
  });

  test('does not limit how long a blocking read may be silent', async () => {
    const { url, keyPrefix } = await startRedis();
    await using client = connect(url, { blocking: true });
    const ms = await millisecondsOf(async () => {
      expect(await client.redis.xread('BLOCK', 5_500, 'STREAMS', `${keyPrefix}silent`, '$')).toBeNull();
    });
    expect(ms).toBeGreaterThan(5_000);
  });

  test('logs an outage once, however many attempts it takes, and its end', async () => {
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
    const outage = messages().filter((message) => message.includes('trying again'));
    expect(outage.length).toBeLessThanOrEqual(3);
    expect(messages()[0]).toBe('redis: connected');
    expect(messages()).toContain('redis: connection lost, trying again');
    expect(messages().at(-1)).toBe('redis: connected');
  });

  test('says what to check when the credentials are refused, without telling them', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url.replace('//', '//app:hunter2@'));
    await expect(client.redis.ping()).rejects.toThrow('WRONGPASS');
    expect(messages()).toContain('redis: refused; check user and password in REDIS_URL. Trying again');
    expect(lines.join('')).not.toContain('hunter2');
  });
});

describe('waitForRedis', () => {
  test('waits for a server that comes later', async () => {
    await using server = await startOwnRedis();
    await server.stop();
    await using client = connect(server.url);
    const waiting = waitForRedis(client.redis, { signal: never });
    await eventually(() => lines.some((line) => line.includes('ECONNREFUSED')));
    await server.start();
    await waiting;
    expect(client.redis.status).toBe('ready');
  });

  test('ends with the reason of the stop', async () => {
    await using client = connect('redis://127.0.0.1:1');
    const stop = new AbortController();
    const waiting = waitForRedis(client.redis, { signal: stop.signal });
    await eventually(() => lines.some((line) => line.includes('ECONNREFUSED')));
    stop.abort('stopped');
    await expect(waiting).rejects.toBe('stopped');
  });

  test('does not wait where waiting changes nothing', async () => {
    await using server = await startOwnRedis();
    await using client = connect(server.url.replace('//', '//app:hunter2@'));
    await expect(waitForRedis(client.redis, { signal: never })).rejects.toThrow('WRONGPASS');
  });
});

describe('closeRedis', () => {
  test('waits for the replies under way', async () => {
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

  test('cuts a blocked read, which rejects', async () => {
    await using server = await startOwnRedis();
    const redis = connectRedis(server.url, { name: 'test', log, blocking: true });
    const outcome = rejectionOf(redis.xread('BLOCK', 0, 'STREAMS', 'telemetry', '$'));
    await eventually(() => isBlockedInRedis(server.url));
    expect(await millisecondsOf(() => closeRedis(redis))).toBeLessThan(1_000);
    expect(await outcome).toBe('Connection is closed.');
  });

  test('rejects what waits for a connection, in the pause between two attempts as well', async () => {
    const redis = connectRedis('redis://127.0.0.1:1', { name: 'test', log, blocking: true });
    await expect(redis.ping()).rejects.toThrow('max retries per request');
    expect(redis.status).toBe('reconnecting');
    const outcome = rejectionOf(redis.ping());
    await closeRedis(redis);
    expect(await outcome).toBe('Connection is closed.');
    expect(redis.status).toBe('end');
    await expect(redis.ping()).rejects.toThrow('Connection is closed');
  });

  test('is bounded when the server is silent', async () => {
    await using server = await startOwnRedis();
    const redis = connectRedis(server.url, { name: 'test', log });
    await redis.ping();
    server.pause();
    expect(await millisecondsOf(() => closeRedis(redis))).toBeLessThan(4_000);
    server.resume();
  });

  test('ends a client that never connected, and one that is closed already', async () => {
    await using accepting = await listenSilently();
    const fresh = connectRedis(accepting.url, { name: 'test', log });
    await closeRedis(fresh);
    await closeRedis(fresh);
    expect(fresh.status).toBe('end');
    const connecting = connectRedis(accepting.url, { name: 'test', log });
    const outcome = rejectionOf(connecting.ping());
    await closeRedis(connecting);
    expect(await outcome).toBe('Connection is closed.');
  });

  test('logs no outage for an end that was asked for', async () => {
    const { url } = await startRedis();
    const redis = connectRedis(url, { name: 'test', log });
    await redis.ping();
    await closeRedis(redis);
    expect(messages()).toEqual(['redis: connected']);
  });
});

async function listenSilently(): Promise<AsyncDisposable & { readonly url: string }> {
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
