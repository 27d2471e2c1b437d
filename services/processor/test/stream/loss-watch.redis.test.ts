import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { RedisGate } from '../model/redis-gate.ts';
import { observe } from '../support/observed.ts';
import { parseEntriesReply } from '../../src/stream/entry-reply.ts';
import { LossWatch } from '../../src/stream/loss-watch.ts';
import { StreamConnection } from '../../src/stream/stream-connection.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);
const connection = await StreamConnection.open(servers.url, 'loss-watch-test', 5000);

afterAll(async () => {
  connection.close();
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

const group = 'processor';
let streams = 0;

/** A stream of ten entries, of which a group has read four. */
async function openStream() {
  streams += 1;
  const stream = `${servers.keyPrefix}${streams}`;
  await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
  await add(stream, 10);
  await read(stream, 4);
  return stream;
}

async function add(stream: string, entries: number): Promise<void> {
  for (let i = 0; i < entries; i += 1) await redis.xadd(stream, '*', 'n', i);
}

async function read(stream: string, entries: number): Promise<void> {
  await redis.xreadgroup('GROUP', group, 'a', 'COUNT', entries, 'STREAMS', stream, '>');
}

/** A watch as a process of its own has it, with what it has counted. */
function watch(stream: string) {
  const { metrics, metric, log } = observe();
  const losses = new LossWatch({ stream, group, consumer: 'a', deadlineMs: 5000, metrics, log });
  const counted = (): Promise<number | undefined> => metric('processor_entries_lost_total');
  return { losses, counted };
}

test('entries trimmed unread are counted once, however often one looks before the next read', async () => {
  const stream = await openStream();
  const { losses, counted } = watch(stream);
  await losses.look(connection);
  expect(await counted()).toBe(0);
  await redis.xtrim(stream, 'MAXLEN', 3);
  await losses.look(connection);
  await losses.look(connection);
  expect(await counted()).toBe(3);
  await redis.xtrim(stream, 'MAXLEN', 1);
  await losses.look(connection);
  expect(await counted()).toBe(5);
});

test('another process, and this one after it has read on, count later losses alone', async () => {
  const stream = await openStream();
  const first = watch(stream);
  await redis.xtrim(stream, 'MAXLEN', 3);
  await first.losses.look(connection);
  await read(stream, 2);
  await add(stream, 10);
  await redis.xtrim(stream, 'MAXLEN', 4);
  await first.losses.look(connection);
  expect(await first.counted()).toBe(3 + 7);
  const second = watch(stream);
  await second.losses.look(connection);
  expect(await second.counted()).toBe(0);
});

/** A read in one MULTI with the counters, as the reader has it. */
async function readChecked(stream: string, losses: LossWatch, entries: number): Promise<void> {
  const [streamInfo, groups, reply] = await connection.transaction(
    [
      { command: 'XINFO', args: ['STREAM', stream] },
      { command: 'XINFO', args: ['GROUPS', stream] },
      {
        command: 'XREADGROUP',
        args: ['GROUP', group, 'a', 'COUNT', entries, 'STREAMS', stream, '>'],
        read: parseEntriesReply,
      },
    ],
    5000,
  );
  const givenIds = reply.entries.map(({ id }) => id);
  losses.note(streamInfo, groups, givenIds);
}

test.each([
  ['and gave some of what is left', 5, 1],
  ['and gave all that is left', 5, 5],
  ['and nothing is left', 0, 1],
] as const)(
  'a loss that the read itself showed, %s, is settled: the next one is counted alone, here and elsewhere',
  async (_, keep, count) => {
    const stream = await openStream();
    const { losses, counted } = watch(stream);
    await losses.look(connection);
    await redis.xtrim(stream, 'MAXLEN', keep);
    await readChecked(stream, losses, count);
    const first = 6 - keep;
    expect(await counted()).toBe(first);
    await losses.settle(connection);
    await read(stream, 10);
    await add(stream, 8);
    const other = watch(stream);
    await redis.xtrim(stream, 'MAXLEN', 4);
    await other.losses.look(connection);
    expect(await other.counted()).toBe(4);
    await losses.look(connection);
    expect(await counted()).toBe(first);
  },
);

test('what is trimmed after the read that showed a loss, and before that is settled, is counted alone', async () => {
  const stream = await openStream();
  const { losses, counted } = watch(stream);
  await losses.look(connection);
  await redis.xtrim(stream, 'MAXLEN', 4);
  await readChecked(stream, losses, 1);
  expect(await counted()).toBe(2);
  await redis.xtrim(stream, 'MAXLEN', 1);
  await losses.settle(connection);
  expect(await counted()).toBe(2 + 2);
  await readChecked(stream, losses, 1);
  await add(stream, 3);
  await redis.xtrim(stream, 'MAXLEN', 1);
  await losses.look(connection);
  expect(await counted()).toBe(2 + 2 + 2);
});

test('a process that died before it could tell leaves the loss to the next one', async () => {
  const stream = await openStream();
  await redis.xtrim(stream, 'MAXLEN', 3);
  const second = watch(stream);
  await second.losses.look(connection);
  expect(await second.counted()).toBe(3);
});

test('two that see a loss at once settle it once, and the next one is counted in full', async () => {
  const stream = await openStream();
  await redis.xtrim(stream, 'MAXLEN', 3);
  const other = await StreamConnection.open(servers.url, 'loss-watch-test-2', 5000);
  const { losses, counted } = watch(stream);
  // Both have seen it before either settles.
  await Promise.all([losses.look(connection), watch(stream).losses.look(other)]);
  other.close();
  await read(stream, 10);
  await redis.xtrim(stream, 'MAXLEN', 0);
  await add(stream, 3);
  await redis.xtrim(stream, 'MAXLEN', 1);
  await losses.look(connection);
  expect(await counted()).toBe(3 + 2);
});

test.each([
  ['carried out without an answer', 'answer lost'],
  ['not carried out', 'cut'],
] as const)(
  'where the settling of a loss is %s, that loss is counted once, and what is trimmed then in full',
  async (_, trouble) => {
    const stream = await openStream();
    await using gate = await RedisGate.open({
      redisUrl: servers.url,
      judge: async ({ call }) => (call === 'settle' ? trouble : undefined),
      sent: () => undefined,
      carriedOut: () => undefined,
      dealtWith: () => undefined,
      passage: async () => undefined,
      die: () => undefined,
    });
    const breaking = await StreamConnection.open(gate.url, 'loss-watch-breaking', 5000);
    const { losses, counted } = watch(stream);
    await redis.xtrim(stream, 'MAXLEN', 3);
    await expect(losses.look(breaking)).rejects.toThrow(/closed|ECONNRESET/u);
    breaking.close();
    expect(await counted()).toBe(3);
    await add(stream, 5);
    await redis.xtrim(stream, 'MAXLEN', 4);
    await losses.look(connection);
    await losses.look(connection);
    expect(await counted()).toBe(3 + 4);
    await read(stream, 10);
    await redis.xtrim(stream, 'MAXLEN', 0);
    await losses.look(connection);
    expect(await counted()).toBe(3 + 4);
  },
);

test('a group that never read has lost all that was trimmed, and its counter is right from then on', async () => {
  const stream = `${servers.keyPrefix}unread`;
  await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
  await add(stream, 10);
  await redis.xtrim(stream, 'MAXLEN', 4);
  const { losses, counted } = watch(stream);
  await losses.look(connection);
  expect(await counted()).toBe(6);
  await read(stream, 10);
  await redis.xtrim(stream, 'MAXLEN', 0);
  await add(stream, 1);
  await losses.look(connection);
  expect(await counted()).toBe(6);
});

test('a counter that a restart of Redis has put back is set right, and what was read stays read', async () => {
  const stream = await openStream();
  await read(stream, 10);
  // What Redis 7.0 gives after a start from an append-only file that was rewritten when four were read.
  const [newest] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  await redis.call('XGROUP', 'SETID', stream, group, newest?.[0] ?? '', 'ENTRIESREAD', 4);
  const { losses, counted } = watch(stream);
  await losses.look(connection);
  await add(stream, 5);
  await redis.xtrim(stream, 'MAXLEN', 5);
  await losses.look(connection);
  expect(await counted()).toBe(0);
  await redis.xtrim(stream, 'MAXLEN', 3);
  await losses.look(connection);
  expect(await counted()).toBe(2);
});

test('what was read and trimmed is not lost', async () => {
  const stream = await openStream();
  await redis.xtrim(stream, 'MAXLEN', 6);
  const { losses, counted } = watch(stream);
  await losses.look(connection);
  expect(await counted()).toBe(0);
});
