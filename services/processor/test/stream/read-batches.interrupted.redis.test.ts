import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
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

test('the group is created at 0, so that existing entries are read', async () => {
  const ids = await stream.add(5);
  await using at = stream.open();
  expect(await at.read(5)).toEqual([ids]);
});

test('the reader waits for a stream that does not exist yet', async () => {
  await using at = stream.open();
  const first = at.next();
  await eventually(() => at.iterations() > 3);
  const [id] = await stream.add(1);
  expect(await first).toEqual([id]);
  expect(at.lines.find(({ msg }) => msg === 'reading stream')).toMatchObject({
    stream: stream.name,
    exists: false,
    length: 0,
    level: 'info',
  });
});

test('a missing group is recreated at 0, and everything in the stream is delivered again', async () => {
  const ids = await stream.add(3);
  await using at = stream.open();
  expect(await at.next()).toEqual(ids);
  await redis.xgroup('DESTROY', stream.name, 'processor');
  const more = await stream.add(1);
  expect(await at.next()).toEqual([...ids, ...more]);
  expect(await reads(at, 'group_missing')).toBe(1);
  expect(at.messages).toContain('error: stream or consumer group missing; recreating the group at 0');
});

test('a stream deleted during a blocked read is read from its new beginning', async () => {
  const ids = await stream.add(1);
  await using at = stream.open({ blockMs: 20_000 });
  expect(await at.next()).toEqual(ids);
  const next = at.next();
  await eventually(() => stream.isBlocked());
  await redis.del(stream.name);
  const [fresh] = await stream.add(1);
  expect(await next).toEqual([fresh]);
});

test('a group that keeps disappearing is recreated at most once a second', async () => {
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
    await eventually(() => at.iterations() >= n % 3);
    for (let pings = 0; pings < n % 8; pings += 1) await redis.ping();
    const stoppedAtMs = performance.now();
    at.stop.abort();
    expect(await next).toBeUndefined();
    expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
  }
});

test('a stop that overtakes the read it should end is repeated', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const url = network.through(servers.url);
  await using at = stream.open({ blockMs: 600_000, claimIntervalMs: 1_000_000, redisUrl: url });
  const next = at.next();
  await eventually(() => stream.isBlocked());
  await stream.add(1);
  await next;
  // Now the reader's own commands take longer than CLIENT UNBLOCK.
  network.delay(200, 'toServer');
  const last = at.next();
  // XINFO is answered, and the blocking read is on its way.
  await eventually(async () => (await stream.lastCommand())?.startsWith('xinfo'), { intervalMs: 1 });
  at.stop.abort();
  expect(await last).toBeUndefined();
});

test('a stop before the blocking read is sent ends the reader', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const url = network.through(servers.url);
  await using at = stream.open({ blockMs: 600_000, claimIntervalMs: 1_000_000, redisUrl: url });
  const next = at.next();
  await eventually(() => stream.isBlocked());
  await stream.add(1);
  await next;
  network.delay(200, 'toServer');
  const last = at.next();
  // XINFO is on its way.
  await redis.ping();
  at.stop.abort();
  expect(await last).toBeUndefined();
});

test('entries read before the stop are still returned', async () => {
  const ids = await stream.add(10);
  await using at = stream.open({ maxDeliveries: 5 });
  await stream.deliver('me', 10);
  await stream.redeliver(ids.slice(5), 9);
  expect(await at.next()).toEqual(ids.slice(0, 5));
  at.stop.abort();
  expect(await at.next()).toEqual(ids.slice(5));
  expect(await at.next()).toBeUndefined();
});

test('a starting reader kills a leftover connection of the same name', async () => {
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

test('two readers with one consumer name warn of each other, once; alone they do not', async () => {
  const warning =
    'another process reads with this consumer name; give each processor an INSTANCE_ID of its own';
  await using first = stream.open();
  const firstNext = first.next();
  await eventually(() => first.iterations() > 10);
  expect(first.lines.filter(({ msg }) => msg === warning)).toEqual([]);
  // The second kills the connection of the first, which comes back.
  await using second = stream.open();
  const secondNext = second.next();
  for (const { lines } of [first, second]) await eventually(() => lines.some(({ msg }) => msg === warning));
  const before = [first.iterations(), second.iterations()];
  await eventually(
    () => first.iterations() > Number(before[0]) + 5 && second.iterations() > Number(before[1]) + 5,
  );
  for (const { lines } of [first, second]) {
    const warnings = lines.filter(({ msg }) => msg === warning);
    expect(warnings).toMatchObject([{ stream: stream.name, consumer: 'me', level: 'warn' }]);
    expect(String(warnings[0]?.['address'])).toMatch(/:\d+$/u);
  }
  for (const each of [first, second]) each.stop.abort();
  expect(await Promise.all([firstNext, secondNext])).toEqual([undefined, undefined]);
});

test('after a restart of Redis, which reuses client ids, no other connection is killed', async () => {
  await using own = await startOwnRedis();
  await using network = await startFaultyNetwork({ target: own.url });
  await using at = openReader({ redisUrl: network.through(own.url), commandsUrl: own.url, stream: 's' });
  const producer = new Redis(own.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  producer.on('error', () => undefined);
  await using clients = new AsyncDisposableStack();
  clients.defer(() => producer.disconnect());
  // The reader must not have one of the first ids, which are reused right after the restart.
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
    const client = new Redis(own.url, { retryStrategy: null });
    clients.defer(() => client.disconnect());
    client.on('error', () => undefined);
    client.once('close', () => {
      kills += 1;
    });
    await client.ping();
  }
  await network.heal();
  await producer.xadd('s', '*', 'a', 'b');
  // Not acknowledged, so the first one comes again with the second.
  expect(await next).toHaveLength(1);
  expect(kills).toBe(0);
});

test('entries trimmed before delivery are counted and logged with the ids around them', async () => {
  const ids = await stream.add(20);
  await stream.deliver('me', 4);
  await redis.xack(stream.name, 'processor', ...ids.slice(0, 4));
  await redis.xtrim(stream.name, 'MAXLEN', 6);
  await using at = stream.open();
  expect(await at.next()).toEqual(ids.slice(14));
  expect(await at.metric('processor_entries_lost_total')).toBe(10);
  expect(at.lines.find(({ level }) => level === 'error')).toMatchObject({
    msg: 'entries lost before delivery; give the stream a longer MAXLEN',
    entries: 10,
    afterId: ids[3],
    beforeId: ids[14],
  });
});

test('each loss is counted once while batches are read', async () => {
  await using at = stream.open({ maxPerBatch: 5, maxPerRead: 5, lingerMs: 0 });
  await stream.add(5);
  expect((await at.read(5)).flat()).toHaveLength(5);
  await stream.add(12);
  await redis.xtrim(stream.name, 'MAXLEN', 5);
  expect((await at.read(5)).flat()).toHaveLength(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7);
  await stream.add(8);
  await redis.xtrim(stream.name, 'MAXLEN', 5);
  await at.read(5);
  expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
  for (let n = 0; n < 2; n += 1) {
    await stream.add(5);
    await at.read(5);
  }
  expect(await at.metric('processor_entries_lost_total')).toBe(7 + 3);
});
