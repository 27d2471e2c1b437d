import { randomBytes } from 'node:crypto';
import { eventually } from '@app/test-kit/eventually';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { observe } from '../support/observed.ts';
import { splitPipelines } from '../support/split-pipelines.ts';
import { ConsumerLagSampler } from '../../src/stream/consumer-lag.ts';
import { readStreamLag } from '../../src/stream/stream-lag.ts';

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

/** Adds entries that are so old by Redis' clock, and gives their ids. */
async function addAged(...agosMs: readonly number[]): Promise<readonly string[]> {
  const [seconds = 0, microseconds = 0] = await redis.time();
  const ids = agosMs.map((agoMs) => `${seconds * 1000 + Math.floor(microseconds / 1000) - agoMs}-0`);
  for (const id of ids) await redis.xadd(stream, id, 'a', 'b');
  return ids;
}

async function read(count: number): Promise<void> {
  await redis.xreadgroup('GROUP', 'processor', 'me', 'COUNT', count, 'STREAMS', stream, '>');
}

async function lag(): Promise<NonNullable<Awaited<ReturnType<typeof readStreamLag>>>> {
  const found = await readStreamLag(redis, stream, 'processor');
  if (found === undefined) throw new Error('there is no such group');
  return found;
}

const sampled = [
  'processor_consumer_lag',
  'processor_consumer_lag_seconds',
  'processor_trim_headroom_seconds',
  'processor_consumer_pending',
  'processor_consumer_oldest_pending_seconds',
  'processor_seconds_since_last_record',
  'processor_dead_letter_fill_ratio',
  'processor_group_ahead_of_stream',
];

// Between an entry and the sample lies the time that the test itself takes.
function about(ms: number): unknown {
  return expect.toSatisfy((value: number) => value >= ms && value < ms + 5000, `about ${ms} ms`);
}

test('without a stream or group there is no sample', async () => {
  expect(await readStreamLag(redis, stream, 'processor')).toBeUndefined();
  await redis.xgroup('CREATE', stream, 'other', '0', 'MKSTREAM');
  expect(await readStreamLag(redis, stream, 'processor')).toBeUndefined();
});

test('a stream that never had an entry has no lag and no last record', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  expect(await lag()).toMatchObject({
    entries: 0,
    lagMs: 0,
    trimHeadroomMs: 0,
    pending: 0,
    oldestPendingMs: 0,
    sinceLastRecordMs: undefined,
    deadLetters: 0,
  });
});

test('the lag is the age of the first undelivered entry, and the headroom its distance to the oldest one', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await addAged(60_000, 50_000, 20_000, 10_000);
  await read(2);
  expect(await lag()).toMatchObject({
    entries: 2,
    lagMs: about(20_000),
    trimHeadroomMs: 40_000,
    pending: 2,
    oldestPendingMs: about(60_000),
    sinceLastRecordMs: about(10_000),
    deadLetters: 0,
  });
});

test('the headroom is 0 before entries are trimmed undelivered', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await addAged(60_000, 50_000, 20_000, 10_000);
  await read(2);
  await redis.xtrim(stream, 'MAXLEN', 3);
  expect((await lag()).trimHeadroomMs).toBe(30_000);
  await redis.xtrim(stream, 'MAXLEN', 2);
  expect((await lag()).trimHeadroomMs).toBe(0);
});

test('an idle stream has no lag and a growing headroom, whatever the age of its last entry', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await addAged(9 * 3_600_000, 8 * 3_600_000);
  await read(2);
  const night = await lag();
  expect(night).toMatchObject({
    entries: 0,
    lagMs: 0,
    trimHeadroomMs: about(9 * 3_600_000),
    oldestPendingMs: about(9 * 3_600_000),
    sinceLastRecordMs: about(8 * 3_600_000),
    deadLetters: 0,
  });
});

test('if Redis has lost count the number of entries is unknown and the age is still right', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  const [, , third = ''] = await addAged(60_000, 50_000, 40_000, 30_000);
  await read(1);
  await redis.xdel(stream, third);
  expect(await lag()).toMatchObject({ entries: undefined, lagMs: about(50_000) });
});

test('samples are published as metrics per stream, NaN for unknown values', async () => {
  const seen = observe();
  const streams = [stream, `${stream}:never`];
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await redis.xgroup('CREATE', `${stream}:never`, 'processor', '0', 'MKSTREAM');
  const [, second = ''] = await addAged(60_000, 50_000, 40_000);
  await read(1);
  await redis.xdel(stream, second);
  await redis.xadd(`${stream}:dlq`, '*', 'a', 'b');
  const { metrics, log } = seen;
  const options = { redis, streams, group: 'processor', intervalMs: 10, maxDeadLetters: 4, metrics, log };
  await using _sampler = new ConsumerLagSampler(options);
  const metric = (name: string): Promise<number | undefined> => seen.metric(name, { stream });
  await eventually(async () => (await metric('processor_consumer_pending')) === 1);
  expect(await metric('processor_consumer_lag')).toBeNaN();
  expect(await metric('processor_consumer_lag_seconds')).toBeGreaterThanOrEqual(40);
  expect(await metric('processor_trim_headroom_seconds')).toBeCloseTo(20);
  expect(await metric('processor_consumer_oldest_pending_seconds')).toBeGreaterThanOrEqual(60);
  expect(await metric('processor_seconds_since_last_record')).toBeGreaterThanOrEqual(40);
  await eventually(async () => (await metric('processor_dead_letter_fill_ratio')) === 0.25);
  const never = { stream: `${stream}:never` };
  await eventually(async () => Number.isNaN(await seen.metric('processor_seconds_since_last_record', never)));
  expect(await seen.metric('processor_consumer_lag', never)).toBe(0);
  // It goes on, and picks up what changes.
  await addAged(0);
  await eventually(async () => ((await metric('processor_seconds_since_last_record')) ?? 99) < 30);
});

test('while no sample succeeds the metrics are NaN, with one warning an outage, and sampling continues', async () => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  const own = new Redis(servers.url, { retryStrategy: () => 10, maxRetriesPerRequest: 0 });
  own.on('error', () => undefined);
  const { metrics, log } = seen;
  const options = {
    redis: own,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  const sampler = new ConsumerLagSampler(options);
  await eventually(async () => (await seen.metric('processor_consumer_pending', { stream })) === 0);
  const warnings = (): number =>
    seen.messages.filter((each) => each.startsWith('warn: lag sample failed')).length;
  for (const outage of [1, 2]) {
    await redis.rename(stream, `${stream}:away`);
    await redis.set(stream, 'no stream');
    await eventually(() => warnings() === outage);
    for (const metric of sampled) {
      await eventually(async () => Number.isNaN(await seen.metric(metric, { stream })));
    }
    await redis.rename(`${stream}:away`, stream);
    await redis.xadd(stream, '*', 'a', 'b');
    await read(1);
    await eventually(async () => (await seen.metric('processor_consumer_pending', { stream })) === outage);
  }
  // A connection that breaks is an outage too.
  await redis.client('KILL', 'ID', await own.client('ID'));
  await redis.xadd(stream, '*', 'a', 'b');
  await read(1);
  await eventually(async () => (await seen.metric('processor_consumer_pending', { stream })) === 3);
  expect(await seen.metric('processor_consumer_lag', { stream })).toBe(0);
  await sampler[Symbol.asyncDispose]();
  own.disconnect();
});

test('a stream that was deleted has no lag, not the last one', async () => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await addAged(60_000);
  const { metrics, log } = seen;
  const options = {
    redis,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  await using _sampler = new ConsumerLagSampler(options);
  const lagSeconds = (): Promise<number | undefined> =>
    seen.metric('processor_consumer_lag_seconds', { stream });
  await eventually(async () => ((await lagSeconds()) ?? 0) >= 60);
  await redis.del(stream);
  await eventually(async () => Number.isNaN(await lagSeconds()));
  expect(await seen.metric('processor_consumer_pending', { stream })).toBeNaN();
});

test('a group that was set ahead of its stream is logged with the id to set it back to, until it is', async () => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  const [id = ''] = await addAged(1000);
  await read(1);
  const { metrics, log } = seen;
  const options = {
    redis,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  await using sampler = new ConsumerLagSampler(options);
  const ahead = (): Promise<number | undefined> => seen.metric('processor_group_ahead_of_stream', { stream });
  await eventually(async () => (await ahead()) === 0);
  // One digit too many.
  await redis.xgroup('SETID', stream, 'processor', id.replace('-', '0-'));
  const [skipped = ''] = await addAged(0);
  await eventually(async () => (await ahead()) === 1);
  expect(await redis.xreadgroup('GROUP', 'processor', 'me', 'STREAMS', stream, '>')).toBeNull();
  expect(sampler.reason).toBe(`${stream}: the group is ahead of the stream, entries are skipped`);
  expect(await seen.metric('processor_consumer_lag_seconds', { stream })).toBeNaN();
  expect(await seen.metric('processor_consumer_lag', { stream })).toBeNaN();
  const logged = seen.lines.filter(({ level }) => level === 'error');
  expect(logged).toMatchObject([{ stream, lastDeliveredId: id.replace('-', '0-'), deliveredBeforeId: id }]);
  await redis.xgroup('SETID', stream, 'processor', id);
  await eventually(async () => (await ahead()) === 0);
  expect(sampler.reason).toBeUndefined();
  expect(String(await redis.xreadgroup('GROUP', 'processor', 'me', 'STREAMS', stream, '>'))).toContain(
    skipped,
  );
});

test('entries that are added and delivered during a sample do not make the group look ahead', async () => {
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  let added = 0;
  await using proxy = await splitPipelines(servers.url, async () => {
    await redis.xadd(stream, '*', 'a', 'b');
    await read(1);
    added += 1;
  });
  const slow = new Redis(proxy.url, { lazyConnect: true, enableReadyCheck: false });
  try {
    await slow.connect();
    const before = added;
    const found = await readStreamLag(slow, stream, 'processor');
    expect(added - before).toBeGreaterThanOrEqual(4);
    expect(found).toMatchObject({ isGroupAhead: false });
  } finally {
    slow.disconnect();
  }
});

test.for<[string, number, (ids: readonly string[]) => Promise<unknown>]>([
  ['deleted', 3, () => redis.del(stream)],
  [
    'replaced by an empty one',
    3,
    () => redis.multi().del(stream).xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM').exec(),
  ],
  // The last two of three undelivered entries were added after the snapshot.
  ['restored in an older state', 2, () => redis.rename(`${stream}:snapshot`, stream)],
])('of a stream that was %s, up to what was undelivered is counted as lost', async ([, lost, rewind]) => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  const ids = await addAged(60_000, 50_000, 40_000);
  await read(2);
  await redis.copy(stream, `${stream}:snapshot`);
  await addAged(30_000, 20_000);
  const { metrics, log } = seen;
  const options = {
    redis,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  await using _sampler = new ConsumerLagSampler(options);
  await eventually(async () => (await seen.metric('processor_consumer_lag', { stream })) === 3);
  await rewind(ids);
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM').catch(() => undefined);
  await eventually(async () => (await seen.metric('processor_entries_lost_at_most_total')) === lost);
  expect(seen.messages).toContain(
    `error: the stream was emptied or went back to an older state; up to ${lost} undelivered entries are lost`,
  );
});

test('a stream that is trimmed, or whose group is set back, was not emptied', async () => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  const [first = ''] = await addAged(60_000, 50_000, 40_000);
  await read(3);
  const { metrics, log } = seen;
  const options = {
    redis,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  await using _sampler = new ConsumerLagSampler(options);
  const seconds = (): Promise<number | undefined> =>
    seen.metric('processor_consumer_lag_seconds', { stream });
  await eventually(async () => (await seconds()) === 0);
  await redis.xtrim(stream, 'MAXLEN', 1);
  await redis.xgroup('SETID', stream, 'processor', first);
  await eventually(async () => ((await seconds()) ?? 0) >= 40);
  expect(await seen.metric('processor_entries_lost_at_most_total')).toBe(0);
});

test('ids ahead of the clock of Redis have no age: the lag is NaN while entries wait, and never 0', async () => {
  const seen = observe();
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await addAged(60_000, -3_600_000);
  await read(2);
  const { metrics, log } = seen;
  const options = {
    redis,
    streams: [stream],
    group: 'processor',
    intervalMs: 5,
    maxDeadLetters: 4,
    metrics,
    log,
  };
  await using _sampler = new ConsumerLagSampler(options);
  const value = (name: string): Promise<number | undefined> => seen.metric(name, { stream });
  // Everything was delivered: no lag. The newest entry is as old as it has been seen.
  await eventually(async () => (await value('processor_consumer_lag_seconds')) === 0);
  await eventually(async () => ((await value('processor_seconds_since_last_record')) ?? 0) > 0);
  expect(await value('processor_seconds_since_last_record')).toBeLessThan(60);
  // Redis goes on from the last id.
  const id = await redis.xadd(stream, '*', 'a', 'b');
  expect(id).toMatch(/-1$/u);
  await eventually(async () => (await value('processor_consumer_lag')) === 1);
  expect(await value('processor_consumer_lag_seconds')).toBeNaN();
  expect((await seen.metric('processor_clock_skew_seconds', { clock: 'stream' })) ?? 0).toBeGreaterThan(3000);
  await read(1);
  await eventually(async () => (await value('processor_consumer_lag_seconds')) === 0);
});
