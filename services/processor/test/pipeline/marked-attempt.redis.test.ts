import { delay } from '@app/runtime/retry';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { attemptsKey, findMarkedEntries, MarkedAttempt } from '../../src/pipeline/marked-attempt.ts';

const never = new AbortController().signal;
const servers = await startRedis();
const redis = new Redis(servers.url);

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

test('the mark stands while the attempt lasts, and is gone when it ended', async () => {
  const stream = `${servers.keyPrefix}a`;
  {
    await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
    expect(attempt.unendedAttempts).toBe(1);
    expect(await redis.smembers(attemptsKey(stream))).toEqual([expect.stringMatching(/^1-0 /u)]);
  }
  expect(await redis.exists(attemptsKey(stream))).toBe(0);
});

test('attempts that never ended are counted, of each entry its own', async () => {
  const stream = `${servers.keyPrefix}b`;
  await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  await MarkedAttempt.begin(redis, stream, ['2-0'], { abandon: never });
  await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  expect(attempt.unendedAttempts).toBe(3);
});

test('an attempt that waits for a passing error leaves no mark meanwhile, and keeps those before it', async () => {
  const stream = `${servers.keyPrefix}c`;
  await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  const marks = (): Promise<number> => redis.scard(attemptsKey(stream));
  expect(await marks()).toBe(2);
  await attempt.suspend();
  expect(await marks()).toBe(1);
  await attempt.suspend();
  expect(await marks()).toBe(1);
  await attempt.resume();
  await attempt.resume();
  expect(await marks()).toBe(2);
});

test('an attempt that lasts takes its mark away: it waits, and has not ended the process', async () => {
  const stream = `${servers.keyPrefix}d`;
  await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never, workMs: 20 });
  await eventually(async () => (await redis.scard(attemptsKey(stream))) === 0);
  await attempt.resume();
  expect(await redis.scard(attemptsKey(stream))).toBe(1);
  await eventually(async () => (await redis.scard(attemptsKey(stream))) === 0);
});

test('an abandoned attempt takes its own mark away, and leaves those of true deaths', async () => {
  const stream = `${servers.keyPrefix}e`;
  await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  const [ofDeath] = await redis.smembers(attemptsKey(stream));
  const abandon = new AbortController();
  {
    await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: abandon.signal });
    expect(attempt.unendedAttempts).toBe(2);
    abandon.abort(new Error('enough'));
  }
  expect(await redis.smembers(attemptsKey(stream))).toEqual([ofDeath]);
});

test('an attempt that ends forgets the deaths of its entry, and of no other', async () => {
  const stream = `${servers.keyPrefix}f`;
  await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
  await MarkedAttempt.begin(redis, stream, ['1-01'], { abandon: never });
  {
    await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never });
    expect(attempt.unendedAttempts).toBe(2);
  }
  expect(await redis.smembers(attemptsKey(stream))).toEqual([expect.stringMatching(/^1-01 /u)]);
});

test('a death in company marks each of them, and is no death of one that is tried alone', async () => {
  const stream = `${servers.keyPrefix}k`;
  const marks = (): Promise<string[]> => redis.smembers(attemptsKey(stream));
  await MarkedAttempt.begin(redis, stream, ['1-0', '2-0', '3-0'], { abandon: never });
  await MarkedAttempt.begin(redis, stream, ['1-0', '2-0'], { abandon: never });
  expect(await findMarkedEntries(redis, stream, { abandon: never })).toEqual(new Set(['1-0', '2-0', '3-0']));
  {
    await using attempt = await MarkedAttempt.begin(redis, stream, ['2-0'], { abandon: never });
    expect(attempt.unendedAttempts).toBe(1);
    expect(await marks()).toHaveLength(6);
  }
  expect((await marks()).toSorted()).toEqual([
    expect.stringMatching(/^1-0 /u),
    expect.stringMatching(/^1-0 /u),
    expect.stringMatching(/^3-0 /u),
  ]);
});

test('a company is not judged by the deaths of those in it, and its marks come and go together', async () => {
  const stream = `${servers.keyPrefix}l`;
  const marks = (): Promise<number> => redis.scard(attemptsKey(stream));
  for (const id of ['1-0', '1-0', '2-0', '4-0'])
    await MarkedAttempt.begin(redis, stream, [id], { abandon: never });
  {
    await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0', '2-0', '3-0'], { abandon: never });
    expect(attempt.unendedAttempts).toBe(1);
    expect(await marks()).toBe(7);
    await attempt.suspend();
    expect(await marks()).toBe(4);
    await attempt.resume();
    expect(await marks()).toBe(7);
  }
  expect(await redis.smembers(attemptsKey(stream))).toEqual([expect.stringMatching(/^4-0 /u)]);
});

test('attempts that are alive elsewhere are no deaths: they end or last, and their marks go', async () => {
  const stream = `${servers.keyPrefix}g`;
  const begin = (workMs: number) => MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never, workMs });
  // One that died, one that is at work and lasts.
  await redis.sadd(attemptsKey(stream), '1-0 of a death');
  await using working = await begin(200);
  await using attempt = await begin(10_000);
  expect([working.unendedAttempts, attempt.unendedAttempts]).toEqual([2, 3]);
  await attempt.outlive(2);
  expect(attempt.unendedAttempts).toBe(2);
  // It goes on under its mark.
  expect(await redis.scard(attemptsKey(stream))).toBe(2);
});

test('the marks of deaths are waited for in vain, and without a mark meanwhile', async () => {
  const stream = `${servers.keyPrefix}h`;
  const deaths = ['1-0 one', '1-0 two'];
  await redis.sadd(attemptsKey(stream), ...deaths);
  const abandon = new AbortController();
  await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], {
    abandon: abandon.signal,
    workMs: 200,
  });
  await attempt.outlive(2);
  expect(attempt.unendedAttempts).toBe(3);
  const marks = await redis.smembers(attemptsKey(stream));
  expect(marks.toSorted()).toEqual(deaths);
  const waiting = attempt.outlive(2);
  abandon.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});

test('who stood still while it waited gives those that are alive elsewhere their time all the same', async () => {
  const stream = `${servers.keyPrefix}i`;
  await redis.sadd(attemptsKey(stream), '1-0 of a death');
  const working = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never, workMs: 10_000 });
  await using attempt = await MarkedAttempt.begin(redis, stream, ['1-0'], { abandon: never, workMs: 200 });
  const waiting = attempt.outlive(2);
  await eventually(async () => (await redis.scard(attemptsKey(stream))) === 2);
  const untilMs = performance.now() + 500;
  while (performance.now() < untilMs);
  await delay(100, never);
  await working.suspend();
  await waiting;
  expect(attempt.unendedAttempts).toBe(2);
});

test('an attempt that is abandoned before it has begun leaves no mark', async () => {
  const stream = `${servers.keyPrefix}j`;
  const abandon = new AbortController();
  const client = redis.duplicate();
  onTestFinished(() => client.disconnect());
  const sadd = client.sadd.bind(client);
  vi.spyOn(client, 'sadd').mockImplementation(async (key, ...marks) => {
    const added = await sadd(key, ...marks);
    expect(await redis.scard(attemptsKey(stream))).toBe(1);
    abandon.abort(new Error('enough'));
    return added;
  });
  await expect(MarkedAttempt.begin(client, stream, ['1-0'], { abandon: abandon.signal })).rejects.toThrow(
    'enough',
  );
  expect(await redis.exists(attemptsKey(stream))).toBe(0);
});

test('an attempt that cannot begin because Redis is away says that it waits, and begins when Redis is there', async () => {
  await using own = await startOwnRedis();
  await own.stop();
  const away = new Redis(own.url, { maxRetriesPerRequest: 0, retryStrategy: () => 20 });
  away.on('error', () => undefined);
  let retries = 0;
  const onRetry = (): void => {
    retries += 1;
  };
  const beginning = MarkedAttempt.begin(away, 'telemetry', ['1-0'], { abandon: never, onRetry });
  await eventually(() => retries >= 2);
  await own.start();
  const attempt = await beginning;
  expect(attempt.unendedAttempts).toBe(1);
  await attempt[Symbol.asyncDispose]();
  away.disconnect();
});
