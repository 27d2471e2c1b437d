import { encodeFields } from '@app/shared/entry';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { eventually } from '@app/test-kit/eventually';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { feed } from '../src/feed.ts';
import { corrupt } from '../src/corrupt-record.ts';
import { race } from '../src/race.ts';
import { Tally } from '../src/tally.ts';
import type { TimedRecord } from '../src/timed-record.ts';

const never = new AbortController().signal;
const startAtMs = Date.UTC(2026, 6, 4, 9);

async function openStream() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const redis = stack.adopt(new Redis(server.url), (client) => client.disconnect());
  const owned = stack.move();
  return {
    redis,
    stream: `${server.keyPrefix}telemetry`,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test('adds every record byte for byte, in order, and counts it', async () => {
  await using target = await openStream();
  const records: TimedRecord[] = [...race({ seed: 1, vehicles: 20, startAtMs, durationMs: 120_000 })];
  const { counts } = await feed({ ...target, records, signal: never, speed: Infinity });

  const entries = await target.redis.xrange(target.stream, '-', '+');
  expect(entries.map(([, fields]) => fields)).toEqual(records.map(({ record }) => encodeFields(record)));
  const keys = records.map(({ record }) => `${record.position.deviceId} ${record.position.fixAtMs}`);
  expect(counts).toEqual({
    records: records.length,
    distinct: new Set(keys).size,
    duplicates: records.length - new Set(keys).size,
    conflicting: 0,
    bad: 0,
  });
  expect(counts.duplicates).toBeGreaterThan(0);
});

test('adds corrupt records unchanged and counts them separately', async () => {
  await using target = await openStream();
  const [first] = race({ seed: 1, vehicles: 1, startAtMs });
  if (first === undefined) throw new Error('no record was made');
  const bad = corrupt(first.record, 1);
  const { counts } = await feed({
    ...target,
    records: [first, { sendAtMs: startAtMs, bad }],
    signal: never,
    speed: Infinity,
  });
  expect(counts).toEqual({ records: 2, distinct: 1, duplicates: 0, conflicting: 0, bad: 1 });
  const [, entry] = await target.redis.xrangeBuffer(target.stream, '-', '+');
  expect(entry?.[1].at(-1)).toEqual(bad.fields.at(-1));
});

test('in real time no record is sent before it is due, and the signal ends the feed', async () => {
  await using target = await openStream();
  const stop = new AbortController();
  const tally = new Tally();
  const startedAtMs = Date.now();
  const records = race({ seed: 1, vehicles: 3, startAtMs: startedAtMs });
  const feeding = feed({ ...target, records, signal: stop.signal, tally });
  await eventually(() => tally.counts.records >= 6);
  stop.abort();
  await feeding;

  expect(tally.counts.records).toBe(await target.redis.xlen(target.stream));
  const entries = await target.redis.xrange(target.stream, '-', '+');
  const expected = race({ seed: 1, vehicles: 3, startAtMs: startedAtMs });
  for (const [id] of entries) {
    const lateMs = Number(id.split('-')[0]) - (expected.next().value?.sendAtMs ?? 0);
    // Redis runs on this machine; a timer may fire up to a millisecond early.
    expect(lateMs).toBeGreaterThanOrEqual(-2);
  }
});

test('at a speed of 100 no record of the 60th second is sent in the first 0.6 seconds', async () => {
  await using target = await openStream();
  const [first] = race({ seed: 1, vehicles: 1, startAtMs });
  if (first === undefined) throw new Error('no record was made');
  const records = [first, { ...first, sendAtMs: first.sendAtMs + 60_000 }];
  const startedAtMs = Date.now();
  await feed({ ...target, records, signal: never, speed: 100 });
  const [last] = await target.redis.xrevrange(target.stream, '+', '-', 'COUNT', 1);
  expect(Number(last?.[0].split('-')[0])).toBeGreaterThanOrEqual(startedAtMs + 598);
});

test('trims the stream to about its maximum length', async () => {
  await using target = await openStream();
  const records = race({ seed: 1, vehicles: 50, startAtMs, durationMs: 100_000 });
  await feed({ ...target, records, signal: never, speed: Infinity, maxLength: 1_000 });
  const length = await target.redis.xlen(target.stream);
  expect(length).toBeGreaterThanOrEqual(1_000);
  expect(length).toBeLessThan(1_300);
});

test('rejects with the stream name when Redis goes away', async () => {
  await using server = await startOwnRedis();
  const redis = new Redis(server.url, { retryStrategy: null });
  redis.on('error', () => undefined);
  const tally = new Tally();
  const records = race({ seed: 1, vehicles: 1, startAtMs: Date.now() });
  const feeding = feed({ redis, stream: 'telemetry:x', records, signal: never, tally });
  const outcome = feeding.then(
    () => 'ended',
    (error: unknown) => String(error),
  );
  await eventually(() => tally.counts.records > 0);
  await server.kill();
  expect(await outcome).toContain('telemetry:x');
});
