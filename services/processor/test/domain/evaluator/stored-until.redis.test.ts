import { randomUUID } from 'node:crypto';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { readStoredUntil } from '../../../src/domain/evaluator/stored-until.ts';

const server = await startRedis();
const redis = new Redis(server.url);

afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

test('all is stored until the oldest entry that is undelivered or pending, of all streams, and until now without one', async () => {
  const [one, two] = [`telemetry:${randomUUID()}`, `telemetry:${randomUUID()}`];
  const read = () => readStoredUntil(redis, [one, two], 'group');
  await redis.xgroup('CREATE', one, 'group', '0', 'MKSTREAM');
  expect(await read()).toBeUndefined();
  await redis.xgroup('CREATE', two, 'group', '0', 'MKSTREAM');
  const nowMs = Date.now();
  expect(await read()).toBeGreaterThanOrEqual(nowMs);

  const [undelivered, newer, stuck] = [nowMs - 3_600_000, nowMs - 60_000, nowMs - 7_200_000];
  await redis.xadd(one, undelivered, 'a', 'b');
  await redis.xadd(one, newer, 'a', 'b');
  expect(await read()).toBe(undelivered);
  await redis.xreadgroup('GROUP', 'group', 'c', 'COUNT', 2, 'STREAMS', one, '>');
  await redis.xack(one, 'group', `${undelivered}-0`);
  expect(await read()).toBe(newer);

  // What has been pending for very long waits for something else.
  await redis.xadd(two, stuck, 'a', 'b');
  await redis.xreadgroup('GROUP', 'group', 'c', 'COUNT', 1, 'STREAMS', two, '>');
  expect(await read()).toBeGreaterThan(nowMs - 301_000);
  await redis.xack(two, 'group', `${stuck}-0`);
  expect(await read()).toBe(newer);
  await redis.xack(one, 'group', `${newer}-0`);
  expect(await read()).toBeGreaterThanOrEqual(nowMs);
  await redis.del(one, two);
});
