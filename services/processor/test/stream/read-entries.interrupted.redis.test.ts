import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { RedisGate } from '../model/redis-gate.ts';
import { openReader } from '../support/open-reader.ts';
import { createTestStream, reads, type TestStream } from '../support/test-stream.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);
let stream: TestStream;

beforeEach(() => {
  stream = createTestStream(redis, servers);
});

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

test('the group is made at the stream’s beginning, not at its end: what is there was not read yet', async () => {
  const ids = await stream.add(5);
  await using at = stream.open();
  expect(await at.read(5)).toEqual([ids]);
});

test('a stream that is not there yet is waited for', async () => {
  await using at = stream.open();
  const first = at.next();
  await eventually(() => at.turns() > 3);
  const [id] = await stream.add(1);
  expect(await first).toEqual([id]);
  expect(at.lines.find(({ msg }) => msg === 'reading stream')).toMatchObject({
    stream: stream.name,
    exists: false,
    length: 0,
    level: 'info',
  });
});

test('a group that is gone is made again at 0, and all that the stream still holds comes again', async () => {
  const ids = await stream.add(3);
  await using at = stream.open();
  expect(await at.next()).toEqual(ids);
  await redis.xgroup('DESTROY', stream.name, 'processor');
  const more = await stream.add(1);
  expect(await at.next()).toEqual([...ids, ...more]);
  expect(await reads(at, 'group_missing')).toBe(1);
  expect(at.messages).toContain('error: the stream or its group is gone; creating the group again, at 0');
});

test('a stream that is deleted under a blocked read is begun anew', async () => {
  const ids = await stream.add(1);
  await using at = stream.open({ blockMs: 20_000 });
  expect(await at.next()).toEqual(ids);
  const next = at.next();
  await eventually(() => stream.isBlocked());
  await redis.del(stream.name);
  const [fresh] = await stream.add(1);
  expect(await next).toEqual([fresh]);
});

test('a group that stays away costs one attempt a second, not hundreds', async () => {
  await stream.add(1);
  await using at = stream.open();
  await at.next();
  const startedAtMs = performance.now();
  await redis.xgroup('DESTROY', stream.name, 'processor');
  const next = at.next();
  // Destroyed again as soon as it is back.
  await eventually(async () => (await reads(at, 'group_missing')) === 1);
  await eventually(async () => (await redis.xgroup('DESTROY', stream.name, 'processor')) === 1, {
    intervalMs: 1,
  });
  await next;
  const elapsedS = (performance.now() - startedAtMs) / 1000;
  expect(await reads(at, 'group_missing')).toBeLessThanOrEqual(1 + elapsedS);
});

test('a stop ends a blocked read at once', async () => {
  await using at = stream.open({ blockMs: 20_000 });
  const next = at.next();
  await eventually(() => stream.isBlocked());
  const stoppedAtMs = performance.now();
  at.stop.abort();
  expect(await next).toBeUndefined();
  expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
});

test('a stop at any moment ends the reader soon, also while it connects or is about to block', async () => {
  for (let n = 0; n < 30; n += 1) {
    await using at = stream.open({ blockMs: 20_000 });
    const next = at.next();
    // A moment of its own each time; from before the connection to after the read has blocked.
    await eventually(() => at.turns() >= n % 3);
    for (let pings = 0; pings < n % 8; pings += 1) await redis.ping();
    const stoppedAtMs = performance.now();
    at.stop.abort();
    expect(await next).toBeUndefined();
    expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
  }
});

test('a stop that overtakes the read it is to end is sent again', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const url = network.through(servers.url);
  await using at = stream.open({ blockMs: 20_000, claimIntervalMs: 1_000_000, redisUrl: url });
  const next = at.next();
  await eventually(() => stream.isBlocked());
  await stream.add(1);
  await next;
  // Now the reader's own commands take longer than the one that is to unblock it.
  network.delay(200, 'toServer');
  const last = at.next();
  at.stop.abort();
  const stoppedAtMs = performance.now();
  expect(await last).toBeUndefined();
  expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
});

test('what was read when the stop came is still handed on', async () => {
  const ids = await stream.add(10);
  await using at = stream.open({ maxDeliveries: 5 });
  await stream.deliver('me', 10);
  await stream.redeliver(ids.slice(5), 9);
  expect(await at.next()).toEqual(ids.slice(0, 5));
  at.stop.abort();
  expect(await at.next()).toEqual(ids.slice(5));
  expect(await at.next()).toBeUndefined();
});

test('a reader that starts kills the one of the same name that its death left in Redis', async () => {
  await using dead = stream.open({ blockMs: 20_000 });
  const lost = dead.next();
  await eventually(() => stream.isBlocked());
  await using at = stream.open({ blockMs: 20_000 });
  const next = at.next();
  await eventually(() => at.lines.some(({ msg, killed }) => msg === 'reading stream' && killed === 1));
  // Stopped first, so that it does not come back and read.
  dead.stop.abort();
  expect(await lost).toBeUndefined();
  const [id] = await stream.add(1);
  expect(await next).toEqual([id]);
});

test('after a restart of Redis, which counts its clients from 1 again, no stranger is killed for the old reader', async () => {
  await using own = await startOwnRedis();
  await using network = await startFaultyNetwork({ target: own.url });
  await using at = openReader({ redisUrl: network.through(own.url), commandsUrl: own.url, stream: 's' });
  const producer = new Redis(own.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  producer.on('error', () => undefined);
  await using strangers = new AsyncDisposableStack();
  strangers.defer(() => producer.disconnect());
  // The reader shall not be among the first: after the restart those ids are taken before the strangers come.
  for (let n = 0; n < 15; n += 1) {
    const passer = new Redis(own.url);
    await passer.ping();
    passer.disconnect();
  }
  const first = at.next();
  await producer.xadd('s', '*', 'a', 'b');
  expect(await first).toHaveLength(1);

  const next = at.next();
  await network.refuse();
  network.cut();
  await own.stop();
  await own.start();
  let kills = 0;
  // More than ever were connected before: one of them has the old reader's id.
  for (let n = 0; n < 30; n += 1) {
    const stranger = new Redis(own.url, { retryStrategy: null });
    strangers.defer(() => stranger.disconnect());
    stranger.on('error', () => undefined);
    stranger.once('close', () => {
      kills += 1;
    });
    await stranger.ping();
  }
  await network.heal();
  await producer.xadd('s', '*', 'a', 'b');
  // Not acknowledged, so the first one comes again with the second.
  expect(await next).toHaveLength(1);
  expect(kills).toBe(0);
});

test('entries trimmed unread are counted exactly, and named with their range', async () => {
  const ids = await stream.add(20);
  await stream.deliver('me', 4);
  await redis.xack(stream.name, 'processor', ...ids.slice(0, 4));
  await redis.xtrim(stream.name, 'MAXLEN', 6);
  await using at = stream.open();
  expect(await at.next()).toEqual(ids.slice(14));
  expect(await at.metric('processor_entries_lost_total')).toBe(10);
  expect(at.lines.find(({ level }) => level === 'error')).toMatchObject({
    entries: 10,
    isExact: true,
    afterId: ids[3],
    beforeId: ids[14],
  });
});

test('each loss is counted once, also where Redis keeps the first one in its counters for ever', async () => {
  // Read in full batches, after each of which the reader looks.
  await using at = stream.open({ batchSize: 5, readCount: 5, lingerMs: 0 });
  await stream.add(5);
  expect((await at.read(5)).flat()).toHaveLength(5);
  await stream.add(12);
  await redis.xtrim(stream.name, 'MAXLEN', 5);
  const seen = await at.read(5);
  expect(seen.flat()).toHaveLength(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7);
  await stream.add(8);
  await redis.xtrim(stream.name, 'MAXLEN', 5);
  await at.read(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
  await stream.add(5);
  await at.read(5);
  await stream.add(5);
  await at.read(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
});

test.each([
  ['is settled', undefined],
  ['is settled without an answer', 'answer lost'],
  ['is not settled before the connection breaks', 'cut'],
] as const)(
  'a loss between the look and the read that %s is counted once, and what was read is handed on',
  async (_, trouble) => {
    let isToTrim = false;
    let settlings = 0;
    await using gate = await RedisGate.open({
      redisUrl: servers.url,
      judge: async ({ call }) => {
        if (call === 'check' && isToTrim) {
          isToTrim = false;
          await redis.xtrim(stream.name, 'MAXLEN', 5);
        }
        if (call === 'settle') settlings += 1;
        return call === 'settle' && settlings === 1 ? trouble : undefined;
      },
      sent: () => undefined,
      carriedOut: () => undefined,
      dealtWith: () => undefined,
      passage: async () => undefined,
      die: () => undefined,
    });
    await using at = stream.open({ redisUrl: gate.url, batchSize: 3, readCount: 3, lingerMs: 0 });
    const readTo = async (ids: readonly string[]): Promise<ReadonlySet<string>> => {
      const seen = new Set<string>();
      while (!ids.slice(-1).every((id) => seen.has(id))) {
        for (const id of (await at.next()) ?? []) seen.add(id);
      }
      return seen;
    };
    await readTo(await stream.add(5));
    const ids = await stream.add(12);
    isToTrim = true;
    const seen = await readTo(ids);
    expect(ids.filter((id) => seen.has(id))).toEqual(ids.slice(7));
    expect(settlings).toBeGreaterThan(0);
    expect(await at.metric('processor_entries_lost_total')).toBe(7);
    const later = await stream.add(8);
    await redis.xtrim(stream.name, 'MAXLEN', 5);
    await readTo(later);
    expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
  },
);

test('a process that starts later counts the losses of its own time only', async () => {
  {
    await using first = stream.open({ batchSize: 5, readCount: 5 });
    await stream.add(5);
    await first.read(5);
    await stream.add(12);
    await redis.xtrim(stream.name, 'MAXLEN', 5);
    await first.read(5);
    expect(await first.metric('processor_entries_lost_total')).toBe(7);
    // Up to the end: there the counters tell what was lost before.
    const next = first.next();
    await eventually(async () => (await reads(first, 'empty')) > 0);
    first.stop.abort();
    await next;
  }
  const pending = await redis.xpending(stream.name, 'processor', '-', '+', 100);
  await redis.xack(
    stream.name,
    'processor',
    ...pending.map((row) => (Array.isArray(row) ? String(row[0]) : '')),
  );
  await using second = stream.open({ batchSize: 5, readCount: 5 });
  const next = second.next();
  await eventually(() => second.turns() > 4, { timeoutMs: 20_000 });
  await stream.add(5);
  await next;
  await stream.add(9);
  await redis.xtrim(stream.name, 'MAXLEN', 5);
  await second.read(5);
  expect(await second.metric('processor_entries_lost_total')).toBe(4);
});
