import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startOwnRedis, startRedis } from '../src/redis.ts';

test('two tests share a Redis with different prefixes and leave no key', async () => {
  await using one = await startRedis();
  const redis = new Redis(one.url);
  try {
    {
      await using other = await startRedis();
      expect(other.keyPrefix).not.toBe(one.keyPrefix);
      await redis.set(`${one.keyPrefix}mine`, '1');
      for (let i = 0; i < 2500; i += 1) await redis.set(`${other.keyPrefix}${i}`, '1');
    }
    expect(await redis.keys(`${one.keyPrefix}*`)).toEqual([`${one.keyPrefix}mine`]);
    expect(await redis.dbsize()).toBeLessThan(2000);
  } finally {
    redis.disconnect();
  }
});

test('an own Redis evicts nothing and keeps its port and data over stop and kill', async () => {
  await using own = await startOwnRedis();
  const redis = new Redis(own.url, { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  try {
    expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    await redis.xadd('stream', '*', 'field', 'before the stop');
    await own.stop();
    await own.start();
    await redis.xadd('stream', '*', 'field', 'before the kill');
    await own.kill();
    await own.start();
    expect(await redis.xlen('stream')).toBe(2);
  } finally {
    redis.disconnect();
  }
});

test('a Redis that keeps no data is empty after a restart', async () => {
  await using own = await startOwnRedis({ keepsData: false });
  const redis = new Redis(own.url, { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  try {
    await redis.set('key', 'value');
    await own.stop();
    await own.start();
    expect(await redis.get('key')).toBeNull();
  } finally {
    redis.disconnect();
  }
});
