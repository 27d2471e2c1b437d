import { encodeFields } from '@app/shared/entry';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { eventually } from '@app/test-kit/eventually';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { feed } from '../src/feed.ts';
import { spoil } from '../src/garbage.ts';
import { race, type Sending } from '../src/race.ts';
import { Tally } from '../src/tally.ts';

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

test('every record is on the stream, in sending order, byte for byte, and counted', async () => {
  await using target = await openStream();
  const sendings: Sending[] = [...race({ seed: 1, vehicles: 20, startAtMs, durationMs: 120_000 })];
  const { counts } = await feed({ ...target, sendings, signal: never, speed: Infinity });

  const entries = await target.redis.xrange(target.stream, '-', '+');
  expect(entries.map(([, fields]) => fields)).toEqual(sendings.map(({ record }) => encodeFields(record)));
  const keys = sendings.map(({ record }) => `${record.position.deviceId} ${record.position.fixAtMs}`);
  expect(counts).toEqual({
    records: sendings.length,
    distinct: new Set(keys).size,
    duplicates: sendings.length - new Set(keys).size,
    conflicting: 0,
    bad: 0,
  });
  expect(counts.duplicates).toBeGreaterThan(0);
});

test('garbage goes onto the stream as it is and is counted apart', async () => {
  await using target = await openStream();
  const [first] = race({ seed: 1, vehicles: 1, startAtMs });
  if (first === undefined) throw new Error('no record was made');
  const bad = spoil(first.record, 1);
  const { counts } = await feed({
    ...target,
    sendings: [first, { sendAtMs: startAtMs, bad }],
    signal: never,
    speed: Infinity,
  });
  expect(counts).toEqual({ records: 2, distinct: 1, duplicates: 0, conflicting: 0, bad: 1 });
  const [, entry] = await target.redis.xrangeBuffer(target.stream, '-', '+');
  expect(entry?.[1].at(-1)).toEqual(bad.fields.at(-1));
});

test('at real speed each record is sent at its moment, and the signal ends it', async () => {
  await using target = await openStream();
  const stop = new AbortController();
  const tally = new Tally();
  const beganAtMs = Date.now();
  const sendings = race({ seed: 1, vehicles: 3, startAtMs: beganAtMs });
  const feeding = feed({ ...target, sendings, signal: stop.signal, tally });
  await eventually(() => tally.counts.records >= 6);
  stop.abort();
  await feeding;

  expect(tally.counts.records).toBe(await target.redis.xlen(target.stream));
  const entries = await target.redis.xrange(target.stream, '-', '+');
  const expected = race({ seed: 1, vehicles: 3, startAtMs: beganAtMs });
  for (const [id] of entries) {
    const lateMs = Number(id.split('-')[0]) - (expected.next().value?.sendAtMs ?? 0);
    // Redis' clock is this machine's; a timer fires up to a millisecond early.
    expect(lateMs).toBeGreaterThanOrEqual(-2);
    expect(lateMs).toBeLessThan(500);
  }
});

test('at a speed of 100 a minute takes 0.6 seconds', async () => {
  await using target = await openStream();
  const sendings = race({ seed: 1, vehicles: 2, startAtMs, durationMs: 60_000 });
  const beganAt = performance.now();
  await feed({ ...target, sendings, signal: never, speed: 100 });
  expect(performance.now() - beganAt).toBeGreaterThan(550);
  expect(performance.now() - beganAt).toBeLessThan(3_000);
});

test('the stream is trimmed to about its bound', async () => {
  await using target = await openStream();
  const sendings = race({ seed: 1, vehicles: 50, startAtMs, durationMs: 100_000 });
  await feed({ ...target, sendings, signal: never, speed: Infinity, maxLength: 1_000 });
  const length = await target.redis.xlen(target.stream);
  expect(length).toBeGreaterThanOrEqual(1_000);
  expect(length).toBeLessThan(1_300);
});

test('a Redis that goes away is an error that names the stream', async () => {
  await using server = await startOwnRedis();
  const redis = new Redis(server.url, { retryStrategy: null });
  redis.on('error', () => undefined);
  const tally = new Tally();
  const sendings = race({ seed: 1, vehicles: 1, startAtMs: Date.now() });
  const feeding = feed({ redis, stream: 'telemetry:x', sendings, signal: never, tally });
  const outcome = feeding.then(
    () => 'ended',
    (error: unknown) => String(error),
  );
  await eventually(() => tally.counts.records > 0);
  await server.kill();
  expect(await outcome).toContain('telemetry:x');
});
