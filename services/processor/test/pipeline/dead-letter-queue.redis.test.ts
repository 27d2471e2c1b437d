import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { lockPositions } from '../support/open-faulty-fixture.ts';
import { openFixture, type Fixture } from '../support/open-fixture.ts';
import { runLoop, type RunningLoop } from '../support/run-loop.ts';
import { records, send, sendFields } from '../support/telemetry.ts';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';

const ownRedis = await startOwnRedis({
  settings: { 'enable-protected-configs': 'yes', appendonly: 'no' },
});
let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture({ redisUrl: ownRedis.url });
});
afterEach(async () => {
  await fixture.redis.config('SET', 'maxmemory', '0');
  await fixture[Symbol.asyncDispose]();
});
afterAll(() => ownRedis[Symbol.asyncDispose]());

/** Batches of ten entries, so that the one with an undecodable entry is one of many. */
const env = { BATCH_SIZE: '10', WRITE_BATCH_SIZE: '10' };

function run(options: Partial<Parameters<typeof runLoop>[0]> = {}): RunningLoop {
  return runLoop({ ...fixture, ...options, env: { ...env, ...options.env } });
}

async function pending(): Promise<number> {
  return Number((await fixture.redis.xpending(fixture.stream, 'processor'))[0]);
}

async function stored(): Promise<number> {
  const [row] = await fixture.sql<{ n: number }[]>`select count(*)::int as n from positions`;
  return row?.n ?? -1;
}

/** Sends good entries, with an undecodable one in the middle of the first ten. */
async function sendMixed(count: number) {
  const { redis, stream } = fixture;
  const before = await send(redis, stream, records(5));
  const [bad] = await sendFields(redis, stream, [['payload', 'no JSON', 'codec', '8']]);
  const after = await send(redis, stream, records(count - 6, { from: 5 }));
  if (bad === undefined) throw new Error('no entry was sent');
  return { sent: [...before, bad, ...after], deadLettered: new Map([[bad.id, 'not_json']]) };
}

/** Fills the dead-letter stream with one entry that nobody has seen. */
async function fillDeadLetters(): Promise<string> {
  const id = await fixture.redis.xadd(deadLetterStream(fixture.stream), '*', 'a', 'b');
  if (id === null) throw new Error('nothing was added');
  return id;
}

/** Only the batch with the undecodable entry is pending; all other entries are stored. */
async function untilOneBatchWaits(loop: RunningLoop, good: number): Promise<void> {
  await eventually(async () => (await stored()) === good && (await pending()) === 10, { timeoutMs: 20_000 });
  expect(await loop.metric('processor_dead_letters_waiting')).toBe(1);
}

test('at DLQ_MAX_LENGTH nothing is trimmed: the batch waits, others continue, and a purge ends the wait', async () => {
  const unseen = await fillDeadLetters();
  const { sent, deadLettered } = await sendMixed(100);
  await using loop = run({ env: { DLQ_MAX_LENGTH: '1' } });
  await untilOneBatchWaits(loop, 99);
  const key = deadLetterStream(fixture.stream);
  expect(loop.loop.deadLetterWaitReason).toBe(`dead letters wait: ${key} has DLQ_MAX_LENGTH entries`);
  expect(loop.messages).toContain(
    'error: dead letters wait and their entries stay pending; replay or purge dead letters with ./run dlq, or raise DLQ_MAX_LENGTH',
  );
  expect(await fixture.redis.xrange(key, '-', '+')).toEqual([[unseen, ['a', 'b']]]);
  await fixture.redis.xdel(key, unseen);
  await fixture.expectStored(sent, { deadLettered });
  await eventually(() => loop.loop.deadLetterWaitReason === undefined);
  expect(await loop.metric('processor_dead_letters_waiting')).toBe(0);
  expect(await loop.metric('processor_dead_letters_total', { reason: 'not_json' })).toBe(1);
  expect(await loop.metric('processor_acks_total')).toBe(100);
});

test('with DLQ_WHEN_FULL=trim the oldest dead letters are deleted and counted', async () => {
  await fillDeadLetters();
  const { sent, deadLettered } = await sendMixed(100);
  await using loop = run({ env: { DLQ_MAX_LENGTH: '1', DLQ_WHEN_FULL: 'trim' } });
  await fixture.expectStored(sent, { deadLettered });
  expect(await loop.metric('processor_dead_letters_trimmed_total')).toBe(1);
});

test('while Redis is at maxmemory the batch with a dead letter waits, and the others are stored and acknowledged', async () => {
  const { sent, deadLettered } = await sendMixed(100);
  const lock = await lockPositions(fixture);
  await using loop = run();
  await eventually(async () => (await pending()) > 0);
  await fixture.redis.config('SET', 'maxmemory', '1');
  await lock.release();
  await untilOneBatchWaits(loop, 99);
  expect(loop.loop.deadLetterWaitReason).toBe('dead letters wait: Redis is at maxmemory (OOM)');
  expect(await fixture.redis.exists(deadLetterStream(fixture.stream))).toBe(0);
  await fixture.redis.config('SET', 'maxmemory', '0');
  await fixture.expectStored(sent, { deadLettered });
});

test.for(['the stream was deleted', 'stream and group were created again'])(
  'a dead letter that was refused is written although %s',
  async (change) => {
    const { redis, stream } = fixture;
    const { deadLettered } = await sendMixed(10);
    const lock = await lockPositions(fixture);
    await using loop = run();
    await eventually(async () => (await pending()) === 10);
    await redis.config('SET', 'maxmemory', '1');
    await lock.release();
    await eventually(() => loop.loop.deadLetterWaitReason?.includes('OOM') === true);
    await redis.del(stream);
    await redis.config('SET', 'maxmemory', '0');
    if (change !== 'the stream was deleted')
      await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
    await eventually(() => loop.loop.deadLetterWaitReason === undefined);
    const letters = await readDeadLetters(redis, stream);
    expect(letters.map(({ cause }) => [cause.dlq_entry_id, cause.dlq_reason])).toEqual([...deadLettered]);
  },
);

test('while Redis cannot write to its disk dead letters wait, and then each is written once', async () => {
  const { redis } = fixture;
  const { sent, deadLettered } = await sendMixed(20);
  const lock = await lockPositions(fixture);
  await using loop = run();
  await eventually(async () => (await pending()) > 0);
  const [, folder = ''] = await redis
    .config('GET', 'dir')
    .then((reply) => (Array.isArray(reply) ? reply.map(String) : []));
  await redis.config('SET', 'dir', '/proc/self', 'save', '3600 1');
  await redis.bgsave();
  await eventually(async () => (await redis.info('persistence')).includes('rdb_last_bgsave_status:err'));
  await lock.release();
  await eventually(
    () => loop.loop.deadLetterWaitReason === 'dead letters wait: Redis cannot write to its disk (MISCONF)',
  );
  await redis.config('SET', 'dir', folder, 'save', '');
  await redis.bgsave();
  await fixture.expectStored(sent, { deadLettered });
  expect(await readDeadLetters(redis, fixture.stream)).toHaveLength(1);
});

test('batches that continue while dead letters wait are bounded', { timeout: 90_000 }, async () => {
  await fillDeadLetters();
  // One in ten is undecodable: each batch needs a dead letter.
  const fields = records(30_000, { devices: 100 }).map((each, n) =>
    n % 10 === 5 ? ['payload', 'no JSON', 'codec', '8'] : encodeFields(each),
  );
  const sent = await sendFields(fixture.redis, fixture.stream, fields);
  {
    await using loop = run({ env: { BATCH_SIZE: '1000', WRITE_BATCH_SIZE: '1000', DLQ_MAX_LENGTH: '1' } });
    await eventually(async () => (await pending()) > 20_000, { timeoutMs: 30_000 });
    const before = loop.iterations();
    await eventually(() => loop.iterations() > before + 3, { timeoutMs: 20_000 });
    // What waits, with the batch that exceeds the bound; three in flight, and one that is read ahead.
    expect(await pending()).toBeLessThanOrEqual(20_000 + 5 * 1000);
    expect(await fixture.redis.xlen(deadLetterStream(fixture.stream))).toBe(1);
    await loop.stop();
  }
  // The next start reads them again.
  await fixture.redis.del(deadLetterStream(fixture.stream));
  await using _loop = run({ env: { BATCH_SIZE: '1000', WRITE_BATCH_SIZE: '1000' } });
  await eventually(async () => (await pending()) === 0 && (await stored()) === 27_000, { timeoutMs: 60_000 });
  const letters = await readDeadLetters(fixture.redis, fixture.stream);
  expect(letters.map(({ cause }) => cause.dlq_entry_id)).toEqual(
    sent.filter((_each, n) => n % 10 === 5).map(({ id }) => id),
  );
});

test('a stop while dead letters wait ends at once, and leaves the batch pending for the next start', async () => {
  await fillDeadLetters();
  const { sent, deadLettered } = await sendMixed(100);
  {
    await using loop = run({ env: { DLQ_MAX_LENGTH: '1' } });
    await untilOneBatchWaits(loop, 99);
    await loop.stop();
    expect(loop.messages).toContain(
      'warn: stopping while dead letters wait; their entries stay pending and are read again after the start',
    );
    expect(await pending()).toBe(10);
  }
  await fixture.redis.del(deadLetterStream(fixture.stream));
  await using _loop = run({ env: { DLQ_MAX_LENGTH: '1' } });
  await fixture.expectStored(sent, { deadLettered });
});

test('of two replicas with the same entries one writes each dead letter', async () => {
  const { redis, stream } = fixture;
  for (const _ of [1, 2, 3]) await fillDeadLetters();
  const { sent, deadLettered } = await sendMixed(100);
  const shared = { DLQ_MAX_LENGTH: '3', CLAIM_IDLE_MS: '300', MAX_DELIVERIES: '1000' };
  await using first = run({ env: { ...shared, INSTANCE_ID: 'first' } });
  await untilOneBatchWaits(first, 99);
  await using second = run({ env: { ...shared, INSTANCE_ID: 'second' } });
  await eventually(async () => ((await second.metric('processor_entries_claimed_total')) ?? 0) > 0);
  await redis.del(deadLetterStream(stream));
  await fixture.expectStored(sent, { deadLettered });
  await first.stop();
  await second.stop();
  expect(await readDeadLetters(redis, stream)).toHaveLength(1);
});

test('dead letters that Redis keeps refusing end the loop with what to change; nothing is acknowledged', async () => {
  const { redis, stream } = fixture;
  const { sent, deadLettered } = await sendMixed(10);
  await redis.set(deadLetterStream(stream), 'not a stream');
  {
    await using loop = run({ permanentErrorLimitMs: 0 });
    await expect(loop.ended).rejects.toThrow(
      `Redis refuses dead letters in ${deadLetterStream(stream)}: the key holds another type (WRONGTYPE); rename or delete that key`,
    );
    expect(await pending()).toBe(10);
  }
  await redis.del(deadLetterStream(stream));
  await using _loop = run();
  await fixture.expectStored(sent, { deadLettered });
});
