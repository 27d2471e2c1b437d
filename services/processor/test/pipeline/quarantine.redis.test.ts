import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { entryOf } from '../support/fixes.ts';
import { observe } from '../support/observed.ts';
import {
  failedAttemptsKey,
  processQuarantined,
  type QuarantineSteps,
} from '../../src/pipeline/quarantine.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);
let streams = 0;

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

/** Processes one quarantined entry on a stream of its own that has failed before. */
async function openQuarantine(failed: number, at = redis, permanentErrorLimitMs?: number) {
  streams += 1;
  const stream = `${servers.keyPrefix}${streams}`;
  const key = failedAttemptsKey(stream);
  if (failed > 0) await at.hset(key, '1-0', failed);
  const seen = observe();
  const stop = new AbortController();
  let progress = 0;
  const onProgress = (): void => {
    progress += 1;
  };
  return {
    ...seen,
    key,
    progress: () => progress,
    abort: (reason: Error) => stop.abort(reason),
    counter: () => at.hget(key, '1-0'),
    run: (steps: Partial<QuarantineSteps>) =>
      processQuarantined(
        [entryOf('1-0', [])],
        { process: async () => undefined, reject: async () => undefined, ...steps },
        { redis: at, stream, signal: stop.signal, onProgress, permanentErrorLimitMs, log: seen.log },
      ),
  };
}

test('the counter is set during an attempt and deleted after it', async () => {
  const at = await openQuarantine(1);
  let during: string | null = null;
  await at.run({
    process: async () => {
      during = await at.counter();
    },
  });
  expect([during, await at.counter()]).toEqual(['2', null]);
  expect(at.progress()).toBeGreaterThan(0);
});

test('a wait for Postgres does not count, keeps earlier attempts, and counts again afterwards', async () => {
  for (const [failed, waiting] of [
    [0, null],
    [1, '1'],
  ] as const) {
    const at = await openQuarantine(failed);
    const counters: (string | null)[] = [];
    await at.run({
      process: async (_entry, attempt) => {
        await attempt.pause();
        counters.push(await at.counter());
        await attempt.begin();
        counters.push(await at.counter());
      },
    });
    expect(counters).toEqual([waiting, String(failed + 1)]);
  }
});

test('an attempt that takes longer than the work does not count, and keeps earlier ones', async () => {
  const at = await openQuarantine(1);
  await at.run({
    process: async () => {
      expect(await at.counter()).toBe('2');
      await eventually(async () => (await at.counter()) === '1');
    },
  });
});

test('an abandoned attempt does not count, and keeps earlier ones', async () => {
  const at = await openQuarantine(1);
  const running = at.run({
    process: async () => {
      throw new Error('abandoned');
    },
  });
  await expect(running).rejects.toThrow('abandoned');
  expect(await at.counter()).toBe('1');
});

test('after two failed attempts the entry is rejected unprocessed', async () => {
  const at = await openQuarantine(2);
  const rejected: number[] = [];
  await at.run({
    process: async () => {
      throw new Error('processed');
    },
    reject: async (_entry, attempts) => {
      rejected.push(attempts);
    },
  });
  expect(rejected).toEqual([2]);
  expect(await at.counter()).toBeNull();
});

test('a counter that cannot be read is logged and retried', async () => {
  const at = await openQuarantine(0);
  await redis.sadd(at.key, 'a set');
  const running = at.run({});
  await eventually(() => at.messages.includes('warn: attempt counter failed; retrying'));
  await redis.del(at.key);
  await running;
  expect(await at.counter()).toBeNull();
});

test('a counter that Redis keeps refusing ends the processor with what to change', async () => {
  const at = await openQuarantine(0, redis, 0);
  await redis.sadd(at.key, 'a set');
  await expect(at.run({})).rejects.toThrow(
    `Redis refuses attempt counters in ${at.key}: the key holds another type (WRONGTYPE)`,
  );
});

test('while Redis is at maxmemory entries are processed, and no attempt is counted', async () => {
  await using own = await startOwnRedis({ keepsData: false });
  const full = new Redis(own.url);
  try {
    const [first, second] = [await openQuarantine(0, full), await openQuarantine(1, full)];
    await full.config('SET', 'maxmemory', '1');
    const counters: (string | null)[] = [];
    await first.run({
      process: async () => {
        counters.push(await first.counter());
      },
    });
    await second.run({
      process: async (_entry, attempt) => {
        counters.push(await second.counter());
        await attempt.pause();
        counters.push(await second.counter());
      },
    });
    expect(counters).toEqual([null, '1', null]);
  } finally {
    full.disconnect();
  }
});
