import { randomBytes } from 'node:crypto';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { RedisGate } from '../model/redis-gate.ts';
import { openReader, type TestReader } from '../testing/open-reader.ts';
import { records, send, sendFields } from '../testing/telemetry.ts';
import type { ReaderOptions } from './read-entries.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);
let stream = '';

beforeEach(() => {
  stream = `${servers.keyPrefix}${randomBytes(4).toString('hex')}`;
});

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

function open(options: Partial<ReaderOptions> = {}): TestReader {
  return openReader({ redisUrl: servers.url, commandsUrl: servers.url, stream, ...options });
}

/** Adds entries and gives their ids. */
async function add(count: number): Promise<readonly string[]> {
  return (await send(redis, stream, records(count))).map(({ id }) => id);
}

/** Has another consumer read, and leave, the next `count` entries. */
async function deliver(consumer: string, count: number): Promise<void> {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM').catch(() => undefined);
  await redis.xreadgroup('GROUP', 'processor', consumer, 'COUNT', count, 'STREAMS', stream, '>');
}

/** Makes pending entries look as if their consumer had left them an hour ago. */
async function leave(consumer: string, ids: readonly string[]): Promise<void> {
  await redis.call('XCLAIM', stream, 'processor', consumer, 0, ...ids, 'IDLE', 3_600_000, 'JUSTID');
}

async function reads(at: TestReader, result: string): Promise<number> {
  return (await at.metric('processor_consumer_reads_total', { result })) ?? 0;
}

async function pendingOf(consumer: string): Promise<number> {
  const rows = await redis.xpending(stream, 'processor', '-', '+', 100_000, consumer);
  return rows.length;
}

test('own pending entries come first, then those that another consumer left, then new ones', async () => {
  const ids = await add(9);
  await deliver('me', 3);
  await deliver('other', 3);
  await leave('other', ids.slice(3, 6));
  await using at = open();
  expect(await at.read(9)).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
  expect(await at.metric('processor_entries_claimed_total')).toBe(3);
  expect(await pendingOf('me')).toBe(9);
});

test('own pending entries are drained to the end, a page at a time', async () => {
  const ids = await add(25);
  await deliver('me', 20);
  await using at = open({ readCount: 6 });
  expect(await at.read(25)).toEqual([
    ids.slice(0, 6),
    ids.slice(6, 12),
    ids.slice(12, 18),
    ids.slice(18, 20),
    ids.slice(20),
  ]);
});

test('the group is made at the stream’s beginning, not at its end: what is there was not read yet', async () => {
  const ids = await add(5);
  await using at = open();
  expect(await at.read(5)).toEqual([ids]);
});

test('a stream that is not there yet is waited for', async () => {
  await using at = open();
  const first = at.next();
  await eventually(() => at.turns() > 3);
  const [id] = await add(1);
  expect(await first).toEqual([id]);
  expect(at.lines.find(({ msg }) => msg === 'reading stream')).toMatchObject({
    stream,
    exists: false,
    length: 0,
    level: 'info',
  });
});

test('a group that is gone is made again at 0, and all that the stream still holds comes again', async () => {
  const ids = await add(3);
  await using at = open();
  expect(await at.next()).toEqual(ids);
  await redis.xgroup('DESTROY', stream, 'processor');
  const more = await add(1);
  expect(await at.next()).toEqual([...ids, ...more]);
  expect(await reads(at, 'group_missing')).toBe(1);
  expect(at.messages).toContain('error: the stream or its group is gone; creating the group again, at 0');
});

test('a stream that is deleted under a blocked read is begun anew', async () => {
  const ids = await add(1);
  await using at = open({ blockMs: 20_000 });
  expect(await at.next()).toEqual(ids);
  const next = at.next();
  await eventually(() => isBlocked());
  await redis.del(stream);
  const [fresh] = await add(1);
  expect(await next).toEqual([fresh]);
});

async function isBlocked(): Promise<boolean> {
  const clients = String(await redis.client('LIST'));
  return clients
    .split('\n')
    .some((client) => client.includes(`:${stream}:reader `) && / flags=\w*b/u.test(client));
}

test('a group that stays away costs one attempt a second, not hundreds', async () => {
  await add(1);
  await using at = open();
  await at.next();
  const startedAtMs = performance.now();
  await redis.xgroup('DESTROY', stream, 'processor');
  const next = at.next();
  // Destroyed again as soon as it is back.
  await eventually(async () => (await reads(at, 'group_missing')) === 1);
  await eventually(async () => (await redis.xgroup('DESTROY', stream, 'processor')) === 1, { intervalMs: 1 });
  await next;
  const elapsedS = (performance.now() - startedAtMs) / 1000;
  expect(await reads(at, 'group_missing')).toBeLessThanOrEqual(1 + elapsedS);
});

test('what lies behind more pending entries than one claim looks at is found: its cursor is kept', async () => {
  const ids = await add(320);
  await deliver('other', 320);
  // XAUTOCLAIM looks at 10 times COUNT: 50 entries a call. The first 300 are not left, merely pending.
  await leave('other', ids.slice(300));
  await using at = open({ readCount: 5 });
  const claimed = await at.read(20);
  expect(claimed.flat()).toEqual(ids.slice(300));
  expect(await pendingOf('other')).toBe(300);
  expect(await at.metric('processor_entries_claimed_total')).toBe(20);
});

test('a claim is repeated at its interval: what is left later is found later', async () => {
  const ids = await add(2);
  await deliver('other', 2);
  await using at = open();
  const next = at.next();
  await eventually(() => at.turns() > 5);
  await leave('other', ids);
  expect(await next).toEqual(ids);
});

test('a claim that takes longer than its interval keeps nobody from reading', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  network.delay(20);
  await using at = open({ redisUrl: network.through(servers.url), claimIntervalMs: 1 });
  const ids = await add(3);
  expect(await at.read(3)).toEqual([ids]);
});

test('entries that their consumer still works on are not claimed', async () => {
  const ids = await add(2);
  await deliver('other', 2);
  await leave('other', ids.slice(1));
  await using at = open();
  expect(await at.next()).toEqual(ids.slice(1));
  expect(await pendingOf('other')).toBe(1);
});

test('ids in flight or owing their ack are left out of the drain and of every claim', async () => {
  const ids = await add(6);
  await deliver('me', 4);
  const [first = '', second = '', third = '', fourth = ''] = ids;
  await leave('me', [first, second, third, fourth]);
  await using at = open({ withheldIds: () => new Set([first, third]) });
  expect(await at.next()).toEqual([second, fourth]);
  expect(await at.next()).toEqual(ids.slice(4));
  // Claims pass over them: they are idle at ourselves, and nothing is taken over.
  const end = at.next();
  await eventually(async () => (await reads(at, 'claimed')) > 2);
  at.stop.abort();
  expect(await end).toBeUndefined();
  expect(await at.metric('processor_entries_claimed_total')).toBe(0);
});

test('an id whose ack is answered while a read brings it again is left out all the same', async () => {
  const ids = await add(2);
  await deliver('me', 2);
  await using network = await startFaultyNetwork({ target: servers.url });
  const owed = new Set(ids);
  await using at = open({ redisUrl: network.through(servers.url), withheldIds: () => owed });
  network.delay(100, 'toClient');
  const next = at.next();
  // Redis has answered the read; before the answer is here, that of the ack comes on the other connection.
  await eventually(async () => (await deliveriesOf(ids[0] ?? '')) === 2, { intervalMs: 1 });
  await redis.xack(stream, 'processor', ...ids);
  owed.clear();
  network.delay(0);
  const more = await add(1);
  expect(await next).toEqual(more);
});

async function deliveriesOf(id: string): Promise<number> {
  const [row] = await redis.xpending(stream, 'processor', id, id, 1);
  return Array.isArray(row) ? Number(row[3]) : 0;
}

test('a page of nothing but withheld ids does not stop the drain', async () => {
  const ids = await add(6);
  await deliver('me', 6);
  const withheld = new Set(ids.slice(0, 4));
  await using at = open({ readCount: 2, withheldIds: () => withheld });
  expect(await at.next()).toEqual(ids.slice(4));
});

test('pending entries that were deleted are named once, to be acknowledged, and counted', async () => {
  const ids = await add(5);
  await deliver('me', 5);
  const [first = '', second = '', third = ''] = ids;
  await redis.xdel(stream, first, third);
  await using at = open();
  const batch = await at.nextBatch();
  expect(batch?.entries.map(({ id }) => id)).toEqual([second, ...ids.slice(3)]);
  expect(batch?.vanishedIds).toEqual([first, third]);
  expect(await at.metric('processor_entries_vanished_total')).toBe(2);
  expect(at.lines.find(({ level }) => level === 'error')).toMatchObject({
    entries: 2,
    firstId: first,
    lastId: third,
  });
});

test('a page of nothing but deleted entries is handed on as well', async () => {
  const ids = await add(2);
  await deliver('me', 2);
  await redis.xtrim(stream, 'MAXLEN', 0);
  await using at = open();
  expect(await at.nextBatch()).toMatchObject({ entries: [], vanishedIds: ids, isSuspect: false });
});

test('entries that were left and deleted are counted when they are claimed', async () => {
  const ids = await add(4);
  await deliver('other', 4);
  await leave('other', ids);
  await redis.xdel(stream, ids[1] ?? '', ids[2] ?? '');
  await using at = open();
  const batch = await at.nextBatch();
  expect(batch?.entries.map(({ id }) => id)).toEqual([ids[0], ids[3]]);
  expect(batch?.vanishedIds).toEqual([ids[1], ids[2]]);
  expect(await at.metric('processor_entries_claimed_total')).toBe(2);
  expect(await at.metric('processor_entries_vanished_total')).toBe(2);
});

test('consumers long gone are removed, but not one that has something pending, and never oneself', async () => {
  await add(2);
  await deliver('holding', 1);
  await redis.xgroup('CREATECONSUMER', stream, 'processor', 'gone');
  await redis.xgroup('CREATECONSUMER', stream, 'processor', 'me');
  await using at = open({ consumerGoneMs: 1 });
  await at.next();
  await eventually(async () => (await consumers()).length === 2);
  expect(await consumers()).toEqual(['holding', 'me']);
  expect(at.lines).toContainEqual(
    expect.objectContaining({ msg: 'removed consumers that were long gone', consumers: ['gone'] }),
  );
});

test('consumers that were here a moment ago stay', async () => {
  await add(1);
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await redis.xgroup('CREATECONSUMER', stream, 'processor', 'other');
  await using at = open({ consumerGoneMs: 60_000 });
  await at.next();
  const next = at.next();
  await eventually(async () => (await reads(at, 'claimed')) > 2);
  expect(await consumers()).toEqual(['me', 'other']);
  at.stop.abort();
  await next;
});

async function consumers(): Promise<readonly string[]> {
  const reply = await redis.xinfo('CONSUMERS', stream, 'processor');
  const names = (Array.isArray(reply) ? reply : []).map((flat: unknown) =>
    Array.isArray(flat) ? String(flat[1]) : '',
  );
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

/** Delivers all entries of `me` so often that their count stands at `deliveries`. */
async function redeliver(ids: readonly string[], deliveries: number): Promise<void> {
  await redis.call('XCLAIM', stream, 'processor', 'me', 0, ...ids, 'RETRYCOUNT', deliveries, 'JUSTID');
}

test('entries delivered too often come apart, after the healthy ones of their page', async () => {
  const ids = await add(6);
  await deliver('me', 6);
  // Reading them raises each by one, to 5 and to 6.
  await redeliver(ids, 4);
  await redeliver([ids[1] ?? '', ids[4] ?? ''], 5);
  await using at = open({ maxDeliveries: 5 });
  const batches = [await at.nextBatch(), await at.nextBatch()];
  expect(batches.map((batch) => [batch?.isSuspect, batch?.entries.map(({ id }) => id)])).toEqual([
    [false, [ids[0], ids[2], ids[3], ids[5]]],
    [true, [ids[1], ids[4]]],
  ]);
  expect(batches[1]?.entries[0]?.deliveries).toBe(6);
});

test('an entry delivered too often comes apart also where deleted ones lie before it', async () => {
  const ids = await add(40);
  await deliver('me', 40);
  await redeliver(ids, 1);
  await redeliver(ids.slice(39), 9);
  // Every other one is deleted; the page holds 20 entries, and their last is the 40th pending id.
  await redis.xdel(stream, ...ids.filter((_, n) => n % 2 === 0));
  await using at = open({ maxDeliveries: 5 });
  expect((await at.nextBatch())?.entries).toHaveLength(19);
  expect(await at.nextBatch()).toMatchObject({ isSuspect: true, entries: [{ id: ids[39], deliveries: 10 }] });
});

test('an entry delivered too often is claimed apart also where much is in flight here', async () => {
  const ids = await add(31);
  const [first = ''] = ids;
  const last = ids[30] ?? '';
  await deliver('other', 1);
  await deliver('me', 29);
  await deliver('other', 1);
  await leave('other', [first, last]);
  await redis.call(
    'XCLAIM',
    stream,
    'processor',
    'other',
    0,
    last,
    'RETRYCOUNT',
    9,
    'IDLE',
    3_600_000,
    'JUSTID',
  );
  const inFlight = new Set(ids.slice(1, 30));
  await using at = open({ maxDeliveries: 5, withheldIds: () => inFlight });
  expect(await at.next()).toEqual([first]);
  expect(await at.nextBatch()).toMatchObject({ isSuspect: true, entries: [{ id: last, deliveries: 10 }] });
});

test('a small read waits for its linger time and is joined by what came meanwhile', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await using at = open({ lingerMs: 500, blockMs: 20_000 });
  const next = at.next();
  await eventually(() => isBlocked());
  const ids = [...(await add(1)), ...(await add(1)), ...(await add(1))];
  expect(await next).toEqual(ids);
});

test('of large entries few are read at once, also of those that were pending when the process ended', async () => {
  const large = Buffer.alloc(8 * 1024, 'x');
  const entries = Array.from({ length: 40 }, () => ['payload', large]);
  await sendFields(redis, stream, entries);
  await deliver('me', 20);
  // At first each is taken to be larger than any is.
  await using at = open({ batchBytes: 64 * 1024 });
  const sizes = (await at.read(40)).map((ids) => ids.length);
  expect(sizes[0]).toBe(1);
  expect(Math.max(...sizes)).toBe(7);
  expect(sizes.length).toBeLessThan(15);
});

test('a batch is never larger than it may be, however much waits', async () => {
  const ids = await add(25);
  await using at = open({ batchSize: 10, readCount: 4 });
  const batches = await at.read(25);
  expect(batches.flat()).toEqual(ids);
  expect(Math.max(...batches.map(({ length }) => length))).toBe(10);
});

test('a stop ends a blocked read at once', async () => {
  await using at = open({ blockMs: 20_000 });
  const next = at.next();
  await eventually(() => isBlocked());
  const stoppedAtMs = performance.now();
  at.stop.abort();
  expect(await next).toBeUndefined();
  expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
});

test('a stop at any moment ends the reader soon, also while it connects or is about to block', async () => {
  for (let n = 0; n < 30; n += 1) {
    await using at = open({ blockMs: 20_000 });
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
  await using at = open({ blockMs: 20_000, claimIntervalMs: 1_000_000, redisUrl: url });
  const next = at.next();
  await eventually(() => isBlocked());
  await add(1);
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
  const ids = await add(10);
  await using at = open({ maxDeliveries: 5 });
  await deliver('me', 10);
  await redeliver(ids.slice(5), 9);
  expect(await at.next()).toEqual(ids.slice(0, 5));
  at.stop.abort();
  expect(await at.next()).toEqual(ids.slice(5));
  expect(await at.next()).toBeUndefined();
});

test('a reader that starts kills the one of the same name that its death left in Redis', async () => {
  await using dead = open({ blockMs: 20_000 });
  const lost = dead.next();
  await eventually(() => isBlocked());
  await using at = open({ blockMs: 20_000 });
  const next = at.next();
  await eventually(() => at.lines.some(({ msg, killed }) => msg === 'reading stream' && killed === 1));
  // Stopped first, so that it does not come back and read.
  dead.stop.abort();
  expect(await lost).toBeUndefined();
  const [id] = await add(1);
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
  const ids = await add(20);
  await deliver('me', 4);
  await redis.xack(stream, 'processor', ...ids.slice(0, 4));
  await redis.xtrim(stream, 'MAXLEN', 6);
  await using at = open();
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
  await using at = open({ batchSize: 5, readCount: 5, lingerMs: 0 });
  await add(5);
  expect((await at.read(5)).flat()).toHaveLength(5);
  await add(12);
  await redis.xtrim(stream, 'MAXLEN', 5);
  const seen = await at.read(5);
  expect(seen.flat()).toHaveLength(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7);
  await add(8);
  await redis.xtrim(stream, 'MAXLEN', 5);
  await at.read(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
  await add(5);
  await at.read(5);
  await add(5);
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
          await redis.xtrim(stream, 'MAXLEN', 5);
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
    await using at = open({ redisUrl: gate.url, batchSize: 3, readCount: 3, lingerMs: 0 });
    const readTo = async (ids: readonly string[]): Promise<ReadonlySet<string>> => {
      const seen = new Set<string>();
      while (!ids.slice(-1).every((id) => seen.has(id))) {
        for (const id of (await at.next()) ?? []) seen.add(id);
      }
      return seen;
    };
    await readTo(await add(5));
    const ids = await add(12);
    isToTrim = true;
    const seen = await readTo(ids);
    expect(ids.filter((id) => seen.has(id))).toEqual(ids.slice(7));
    expect(settlings).toBeGreaterThan(0);
    expect(await at.metric('processor_entries_lost_total')).toBe(7);
    const later = await add(8);
    await redis.xtrim(stream, 'MAXLEN', 5);
    await readTo(later);
    expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
  },
);

test('a process that starts later counts the losses of its own time only', async () => {
  {
    await using first = open({ batchSize: 5, readCount: 5 });
    await add(5);
    await first.read(5);
    await add(12);
    await redis.xtrim(stream, 'MAXLEN', 5);
    await first.read(5);
    expect(await first.metric('processor_entries_lost_total')).toBe(7);
    // Up to the end: there the counters tell what was lost before.
    const next = first.next();
    await eventually(async () => (await reads(first, 'empty')) > 0);
    first.stop.abort();
    await next;
  }
  const pending = await redis.xpending(stream, 'processor', '-', '+', 100);
  await redis.xack(stream, 'processor', ...pending.map((row) => (Array.isArray(row) ? String(row[0]) : '')));
  await using second = open({ batchSize: 5, readCount: 5 });
  const next = second.next();
  await eventually(() => second.turns() > 4);
  await add(5);
  await next;
  await add(9);
  await redis.xtrim(stream, 'MAXLEN', 5);
  await second.read(5);
  expect(await second.metric('processor_entries_lost_total')).toBe(4);
});
