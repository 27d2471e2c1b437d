import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import type { GroupState } from '../../src/stream/group-state.ts';
import { LossDetector } from '../../src/stream/loss-detector.ts';
import { StreamClient } from '../../src/stream/stream-client.ts';
import { StreamConnection } from '../../src/stream/stream-connection.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);
const connection = await StreamConnection.open(servers.url, 'loss-detector-test', 5000);

afterAll(async () => {
  connection.close();
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

const group = 'processor';
let streams = 0;

/** A stream of ten entries, four of them delivered, with a detector that has seen it with everything delivered. */
async function openStream(options: { readonly entries?: number; readonly delivered?: number } = {}) {
  const { entries = 10, delivered = 4 } = options;
  streams += 1;
  const stream = `${servers.keyPrefix}${streams}`;
  await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
  const client = new StreamClient(connection, { stream, group, consumer: 'a' });
  const detector = new LossDetector();
  const at = {
    stream,
    add: async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) await redis.xadd(stream, '*', 'n', n);
    },
    read: (count: number) => redis.xreadgroup('GROUP', group, 'a', 'COUNT', count, 'STREAMS', stream, '>'),
    trim: (length: number) => redis.xtrim(stream, 'MAXLEN', length),
    /** Lost entries that `by` reports now. */
    lost: async (by = detector): Promise<number> => {
      const state = await client.groupState();
      return (state === undefined ? undefined : by.check(state))?.entries ?? 0;
    },
  };
  await at.lost();
  await at.add(entries);
  if (delivered > 0) await at.read(delivered);
  return at;
}

test('entries trimmed before delivery are reported once, however often the state is checked', async () => {
  const at = await openStream();
  expect(await at.lost()).toBe(0);
  await at.trim(3);
  expect([await at.lost(), await at.lost()]).toEqual([3, 0]);
  await at.trim(1);
  expect(await at.lost()).toBe(2);
});

test('a later loss is reported alone, by this detector and by a new one that has seen everything delivered', async () => {
  const at = await openStream();
  await at.trim(3);
  expect(await at.lost()).toBe(3);
  await at.read(10);
  const later = new LossDetector();
  expect([await at.lost(), await at.lost(later)]).toEqual([0, 0]);
  await at.add(8);
  await at.trim(4);
  expect([await at.lost(), await at.lost(later)]).toEqual([4, 4]);
});

test('a new detector reports a loss that happened while no processor ran', async () => {
  const at = await openStream();
  await at.trim(3);
  expect(await at.lost(new LossDetector())).toBe(3);
});

test('a group that never read has lost everything that was trimmed', async () => {
  const at = await openStream({ delivered: 0 });
  await at.trim(4);
  expect(await at.lost()).toBe(6);
});

test('a stream trimmed to nothing has lost everything that was not delivered', async () => {
  const at = await openStream();
  await at.trim(0);
  expect(await at.lost()).toBe(6);
});

test('entries trimmed after delivery are not lost', async () => {
  const at = await openStream();
  await at.trim(6);
  expect(await at.lost()).toBe(0);
  await at.read(10);
  await at.trim(0);
  expect(await at.lost()).toBe(0);
});

test('a counter of Redis that is too low after a restart is not a loss', async () => {
  const at = await openStream();
  await at.read(10);
  // As Redis 7.0 does after loading an append-only file that was rewritten when four entries had been read.
  const [newest] = await redis.xrevrange(at.stream, '+', '-', 'COUNT', 1);
  await redis.call('XGROUP', 'SETID', at.stream, group, newest?.[0] ?? '', 'ENTRIESREAD', 4);
  expect(await at.lost()).toBe(0);
  await at.add(5);
  await at.trim(5);
  expect(await at.lost()).toBe(0);
  await at.trim(3);
  expect(await at.lost()).toBe(2);
});

test('a check reports the ids around the loss and changes nothing in Redis', async () => {
  const at = await openStream();
  await at.trim(3);
  const groups = await redis.xinfo('GROUPS', at.stream);
  const [oldest] = await redis.xrange(at.stream, '-', '+', 'COUNT', 1);
  const lastDelivered = Array.isArray(groups) && Array.isArray(groups[0]) ? String(groups[0][7]) : '';
  const client = new StreamClient(connection, { stream: at.stream, group, consumer: 'a' });
  const state = await client.groupState();
  if (state === undefined) throw new Error('no group');
  expect(new LossDetector().check(state)).toEqual({
    entries: 3,
    afterId: lastDelivered,
    beforeId: oldest?.[0],
  });
  expect(await redis.xinfo('GROUPS', at.stream)).toEqual(groups);
});

test('a counter that Redis corrects after a loss does not hide the next loss', () => {
  const state: GroupState = {
    firstId: '8-0',
    lastGeneratedId: '10-0',
    length: 3,
    entriesAdded: 10,
    lastDeliveredId: '4-0',
    entriesRead: 4,
  };
  const detector = new LossDetector();
  expect(detector.check(state)?.entries).toBe(3);
  // Redis 7.2 counts the three lost entries as read once 8-0 is delivered. Then 9-0 and 10-0 are trimmed.
  const corrected = { ...state, lastDeliveredId: '8-0', entriesRead: 8, entriesAdded: 11 };
  expect(detector.check({ ...corrected, firstId: '11-0', lastGeneratedId: '11-0', length: 1 })?.entries).toBe(
    2,
  );
});

test('without a count of Redis a loss is reported once, as at least one entry', () => {
  const state: GroupState = {
    firstId: '8-0',
    lastGeneratedId: '10-0',
    length: 3,
    entriesAdded: 10,
    lastDeliveredId: '4-0',
    entriesRead: null,
  };
  const detector = new LossDetector();
  expect(detector.check(state)).toEqual({ entries: 1, afterId: '4-0', beforeId: '8-0' });
  expect(detector.check(state)).toBeUndefined();
  expect(detector.check({ ...state, firstId: '9-0', length: 2 })?.entries).toBe(1);
});
