import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, afterEach, expect, test } from 'vitest';
import { createTestStream } from '../support/test-stream.ts';
import { readStreamLag } from '../../src/stream/stream-lag.ts';

const own = await startOwnRedis({ keepsData: false });
const redis = new Redis(own.url);

afterEach(() => redis.config('SET', 'maxmemory', '0'));

afterAll(async () => {
  redis.disconnect();
  await own[Symbol.asyncDispose]();
});

async function fillMemory(): Promise<void> {
  await redis.config('SET', 'maxmemory', '1');
  await expect(redis.set('key', 'value')).rejects.toThrow(/^OOM/u);
}

test('at the memory limit a starting reader reads its own pending, idle and new entries', async () => {
  const stream = createTestStream(redis, { url: own.url, keyPrefix: 'oom:' });
  const ids = await stream.add(30);
  await stream.deliver('me', 10);
  await stream.deliver('gone', 10);
  await stream.leave('gone', ids.slice(10, 20));
  await fillMemory();
  await using at = stream.open();
  expect(await at.read(30)).toEqual([ids.slice(0, 10), ids.slice(10, 20), ids.slice(20)]);
  expect(await redis.xack(stream.name, 'processor', ...ids)).toBe(30);
  // Shrinks the stream: this ends the outage.
  expect(await redis.xdel(stream.name, ...ids)).toBe(30);
  expect(at.failures.reason).toBeUndefined();
  expect(at.messages.filter((each) => /^(?:warn|error): /u.test(each))).toEqual([]);
});

test('a running reader goes on at the memory limit, after a reconnect too, and deletes idle consumers', async () => {
  const stream = createTestStream(redis, { url: own.url, keyPrefix: 'oom:' });
  const ids = await stream.add(20);
  await redis.xgroup('CREATE', stream.name, 'processor', '0');
  await redis.xgroup('CREATECONSUMER', stream.name, 'processor', 'idle');
  await using at = stream.open({
    maxPerRead: 10,
    maxPerBatch: 10,
    deleteConsumersAfterMs: 0,
    claimIntervalMs: 0,
  });
  expect(await at.next()).toEqual(ids.slice(0, 10));
  await fillMemory();
  const [, readerId] = /^id=(\d+) .*:reader /mu.exec(String(await redis.client('LIST'))) ?? [];
  await redis.client('KILL', 'ID', readerId ?? '');
  // Its own pending entries again, then the new ones.
  expect((await at.read(20)).flat()).toEqual(ids);
  expect(at.messages).toContain('info: deleted idle consumers');
});

test('without a group nothing can be read at the memory limit; the reader says so and waits', async () => {
  const stream = createTestStream(redis, { url: own.url, keyPrefix: 'oom:' });
  const ids = await stream.add(3);
  await fillMemory();
  await using at = stream.open();
  const next = at.next();
  await eventually(() => at.failures.count('read') >= 2);
  expect(at.failures.reason).toMatch(/: stream read fails: OOM command not allowed/u);
  expect(at.messages.filter((each) => each.startsWith('warn: '))).toEqual([
    'warn: stream read failed; retrying',
  ]);
  await redis.config('SET', 'maxmemory', '0');
  expect(await next).toEqual(ids);
  expect(at.failures.reason).toBeUndefined();
});

test('the lag is known at the memory limit', async () => {
  const stream = createTestStream(redis, { url: own.url, keyPrefix: 'oom:' });
  await stream.add(3);
  await stream.deliver('me', 1);
  await fillMemory();
  expect(await readStreamLag(redis, stream.name, 'processor')).toMatchObject({ entries: 2, pending: 1 });
});
