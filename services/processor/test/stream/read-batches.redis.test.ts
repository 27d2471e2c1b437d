import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { sendFields } from '../support/telemetry.ts';
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

async function pendingOf(consumer: string): Promise<number> {
  const rows = await redis.xpending(stream.name, 'processor', '-', '+', 100_000, consumer);
  return rows.length;
}

test('own pending entries come first, then idle ones of other consumers, then new ones', async () => {
  const ids = await stream.add(9);
  await stream.deliver('me', 3);
  await stream.deliver('other', 3);
  await stream.leave('other', ids.slice(3, 6));
  await using at = stream.open();
  expect(await at.read(9)).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
  expect(await at.metric('processor_entries_claimed_total')).toBe(3);
  expect(await pendingOf('me')).toBe(9);
});

test('own pending entries are read to the end, page by page', async () => {
  const ids = await stream.add(25);
  await stream.deliver('me', 20);
  await using at = stream.open({ maxPerRead: 6 });
  expect(await at.read(25)).toEqual([
    ids.slice(0, 6),
    ids.slice(6, 12),
    ids.slice(12, 18),
    ids.slice(18, 20),
    ids.slice(20),
  ]);
});

test('a claim continues with its cursor until all pending entries were examined', async () => {
  const ids = await stream.add(320);
  await stream.deliver('other', 320);
  // XAUTOCLAIM looks at 10 times COUNT: 50 entries a call. The first 300 are not left, merely pending.
  await stream.leave('other', ids.slice(300));
  await using at = stream.open({ maxPerRead: 5 });
  const claimed = await at.read(20);
  expect(claimed.flat()).toEqual(ids.slice(300));
  expect(await pendingOf('other')).toBe(300);
  expect(await at.metric('processor_entries_claimed_total')).toBe(20);
});

test('claims are repeated at their interval', async () => {
  const ids = await stream.add(2);
  await stream.deliver('other', 2);
  await using at = stream.open();
  const next = at.next();
  await eventually(() => at.iterations() > 5);
  await stream.leave('other', ids);
  expect(await next).toEqual(ids);
});

test('a claim that takes longer than its interval does not block reading', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  network.delay(20);
  await using at = stream.open({ redisUrl: network.through(servers.url), claimIntervalMs: 1 });
  const ids = await stream.add(3);
  expect(await at.read(3)).toEqual([ids]);
});

test('new entries are read although every claim fails', async () => {
  await using own = await startOwnRedis();
  const admin = new Redis(own.url);
  await using closing = new AsyncDisposableStack();
  closing.defer(() => admin.disconnect());
  await admin.call('ACL', 'SETUSER', 'reader', 'on', 'nopass', '~*', '&*', '+@all', '-xautoclaim');
  await admin.xadd('s', '*', 'a', 'b');
  const redisUrl = own.url.replace('//', '//reader:x@');
  await using at = openReader({ redisUrl, stream: 's', claimIntervalMs: 1_000_000 });
  expect(await at.read(1)).toHaveLength(1);
});

test('entries that are not idle are not claimed', async () => {
  const ids = await stream.add(2);
  await stream.deliver('other', 2);
  await stream.leave('other', ids.slice(1));
  await using at = stream.open();
  expect(await at.next()).toEqual(ids.slice(1));
  expect(await pendingOf('other')).toBe(1);
});

test('excluded ids are dropped from reads of pending entries and from claims', async () => {
  const ids = await stream.add(6);
  await stream.deliver('me', 4);
  const [first = '', second = '', third = '', fourth = ''] = ids;
  await stream.leave('me', [first, second, third, fourth]);
  await using at = stream.open({ excludedIds: () => new Set([first, third]) });
  expect(await at.next()).toEqual([second, fourth]);
  expect(await at.next()).toEqual(ids.slice(4));
  // Claims pass over them: they are idle at ourselves, and nothing is taken over.
  const end = at.next();
  await eventually(async () => (await reads(at, 'claimed')) > 2);
  at.stop.abort();
  expect(await end).toBeUndefined();
  expect(await at.metric('processor_entries_claimed_total')).toBe(0);
});

test('an id that is acknowledged while it is read again is still excluded', async () => {
  const ids = await stream.add(2);
  await stream.deliver('me', 2);
  await using network = await startFaultyNetwork({ target: servers.url });
  const unacked = new Set(ids);
  await using at = stream.open({
    redisUrl: network.through(servers.url),
    excludedIds: () => new Set(unacked),
  });
  network.delay(100, 'toClient');
  const next = at.next();
  // Redis has answered the read; before the answer is here, that of the ack comes on the other connection.
  await eventually(async () => (await deliveriesOf(ids[0] ?? '')) === 2, { intervalMs: 1 });
  await redis.xack(stream.name, 'processor', ...ids);
  unacked.clear();
  network.delay(0);
  const more = await stream.add(1);
  expect(await next).toEqual(more);
});

async function deliveriesOf(id: string): Promise<number> {
  const [row] = await redis.xpending(stream.name, 'processor', id, id, 1);
  return Array.isArray(row) ? Number(row[3]) : 0;
}

test('a page of excluded ids does not end the read of pending entries', async () => {
  const ids = await stream.add(6);
  await stream.deliver('me', 6);
  const excluded = new Set(ids.slice(0, 4));
  await using at = stream.open({ maxPerRead: 2, excludedIds: () => excluded });
  expect(await at.next()).toEqual(ids.slice(4));
});

test('deleted pending entries are returned as vanished, counted and logged once', async () => {
  const ids = await stream.add(5);
  await stream.deliver('me', 5);
  const [first = '', second = '', third = ''] = ids;
  await redis.xdel(stream.name, first, third);
  await using at = stream.open();
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

test('a page of deleted entries only is returned too', async () => {
  const ids = await stream.add(2);
  await stream.deliver('me', 2);
  await redis.xtrim(stream.name, 'MAXLEN', 0);
  await using at = stream.open();
  expect(await at.nextBatch()).toMatchObject({ entries: [], vanishedIds: ids, isQuarantined: false });
});

test('deleted entries of another consumer are counted when they are claimed', async () => {
  const ids = await stream.add(4);
  await stream.deliver('other', 4);
  await stream.leave('other', ids);
  await redis.xdel(stream.name, ids[1] ?? '', ids[2] ?? '');
  await using at = stream.open();
  const batch = await at.nextBatch();
  expect(batch?.entries.map(({ id }) => id)).toEqual([ids[0], ids[3]]);
  expect(batch?.vanishedIds).toEqual([ids[1], ids[2]]);
  expect(await at.metric('processor_entries_claimed_total')).toBe(2);
  expect(await at.metric('processor_entries_vanished_total')).toBe(2);
});

test('consumers that have been idle for long are deleted, unless they have pending entries or are this one', async () => {
  await stream.add(2);
  await stream.deliver('holding', 1);
  await redis.xgroup('CREATECONSUMER', stream.name, 'processor', 'gone');
  await redis.xgroup('CREATECONSUMER', stream.name, 'processor', 'me');
  await using at = stream.open({ deleteConsumersAfterMs: 1 });
  await at.next();
  await eventually(async () => (await consumers()).length === 2);
  expect(await consumers()).toEqual(['holding', 'me']);
  expect(at.lines).toContainEqual(
    expect.objectContaining({ msg: 'deleted idle consumers', consumers: ['gone'] }),
  );
});

test('consumers that were active recently are kept', async () => {
  await stream.add(1);
  await redis.xgroup('CREATE', stream.name, 'processor', '0');
  await redis.xgroup('CREATECONSUMER', stream.name, 'processor', 'other');
  await using at = stream.open({ deleteConsumersAfterMs: 60_000 });
  await at.next();
  const next = at.next();
  await eventually(async () => (await reads(at, 'claimed')) > 2);
  expect(await consumers()).toEqual(['me', 'other']);
  at.stop.abort();
  await next;
});

async function consumers(): Promise<readonly string[]> {
  const reply = await redis.xinfo('CONSUMERS', stream.name, 'processor');
  const names = (Array.isArray(reply) ? reply : []).map((flat: unknown) =>
    Array.isArray(flat) ? String(flat[1]) : '',
  );
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

test('entries delivered too often are quarantined, after the healthy ones of their page', async () => {
  const ids = await stream.add(6);
  await stream.deliver('me', 6);
  // Reading them raises each by one, to 5 and to 6.
  await stream.redeliver(ids, 4);
  await stream.redeliver([ids[1] ?? '', ids[4] ?? ''], 5);
  await using at = stream.open({ maxDeliveries: 5 });
  const batches = [await at.nextBatch(), await at.nextBatch()];
  expect(batches.map((batch) => [batch?.isQuarantined, batch?.entries.map(({ id }) => id)])).toEqual([
    [false, [ids[0], ids[2], ids[3], ids[5]]],
    [true, [ids[1], ids[4]]],
  ]);
  expect(batches[1]?.entries[0]?.deliveries).toBe(6);
});

test('an entry delivered too often is quarantined even behind deleted ones', async () => {
  const ids = await stream.add(40);
  await stream.deliver('me', 40);
  await stream.redeliver(ids, 1);
  await stream.redeliver(ids.slice(39), 9);
  // Every other one is deleted; the page holds 20 entries, and their last is the 40th pending id.
  await redis.xdel(stream.name, ...ids.filter((_, n) => n % 2 === 0));
  await using at = stream.open({ maxDeliveries: 5 });
  expect((await at.nextBatch())?.entries).toHaveLength(19);
  expect(await at.nextBatch()).toMatchObject({
    isQuarantined: true,
    entries: [{ id: ids[39], deliveries: 10 }],
  });
});

test('a claimed entry that was delivered too often is quarantined even if many are in flight', async () => {
  const ids = await stream.add(31);
  const [first = ''] = ids;
  const last = ids[30] ?? '';
  await stream.deliver('other', 1);
  await stream.deliver('me', 29);
  await stream.deliver('other', 1);
  await stream.leave('other', [first, last]);
  await redis.call(
    'XCLAIM',
    stream.name,
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
  await using at = stream.open({ maxDeliveries: 5, excludedIds: () => inFlight });
  expect(await at.next()).toEqual([first]);
  expect(await at.nextBatch()).toMatchObject({
    isQuarantined: true,
    entries: [{ id: last, deliveries: 10 }],
  });
});

test('a small batch waits for the linger time and includes the entries that arrived meanwhile', async () => {
  await redis.xgroup('CREATE', stream.name, 'processor', '0', 'MKSTREAM');
  await using at = stream.open({ lingerMs: 500, blockMs: 20_000 });
  const next = at.next();
  await eventually(() => stream.isBlocked());
  const ids = [...(await stream.add(1)), ...(await stream.add(1)), ...(await stream.add(1))];
  expect(await next).toEqual(ids);
});

test('large entries are read a few at a time, pending ones included', async () => {
  const large = Buffer.alloc(8 * 1024, 'x');
  const entries = Array.from({ length: 40 }, () => ['payload', large]);
  await sendFields(redis, stream.name, entries);
  await stream.deliver('me', 20);
  // At first each is taken to be larger than any is.
  await using at = stream.open({ batchBytes: 64 * 1024 });
  const sizes = (await at.read(40)).map((ids) => ids.length);
  expect(sizes[0]).toBe(1);
  expect(Math.max(...sizes)).toBe(7);
  expect(sizes.length).toBeLessThan(15);
});

test('a batch has at most the configured number of entries, whatever the backlog', async () => {
  const ids = await stream.add(25);
  await using at = stream.open({ maxPerBatch: 10, maxPerRead: 4 });
  const batches = await at.read(25);
  expect(batches.flat()).toEqual(ids);
  expect(Math.max(...batches.map(({ length }) => length))).toBe(10);
});
