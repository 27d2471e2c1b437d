import { eventually } from '@app/test-kit/eventually';
import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { ClockMonitor } from '../../src/stream/clock-monitor.ts';
import { observe } from '../support/observed.ts';
import { shiftPostgresClock } from '../support/shift-clocks.ts';

const hourMs = 3_600_000;

/** A monitor whose process's and Postgres' clocks are ahead of the real one, which Redis has, by so much. */
async function openMonitor(options: { readonly processMs: number; readonly postgresMs: number }) {
  const [redisServer, database] = await Promise.all([startRedis(), startPostgres()]);
  const admin = postgres(database.url, { max: 1 });
  await shiftPostgresClock(admin, options.postgresMs);
  const sql = postgres(database.url, { max: 1 });
  const redis = new Redis(redisServer.url);
  const seen = observe();
  let processMs = options.processMs;
  const monitor = new ClockMonitor({
    redis,
    sql,
    intervalMs: 10,
    nowMs: () => Date.now() + processMs,
    metrics: seen.metrics,
    log: seen.log,
  });
  onTestFinished(async () => {
    await monitor[Symbol.asyncDispose]();
    redis.disconnect();
    await Promise.all([sql.end(), admin.end()]);
    await Promise.all([redisServer[Symbol.asyncDispose](), database[Symbol.asyncDispose]()]);
  });
  await monitor.start();
  return {
    ...seen,
    monitor,
    sql,
    skew: (clock: string) => seen.metric('processor_clock_skew_seconds', { clock }),
    shiftProcess: (ms: number) => {
      processMs = ms;
    },
  };
}

function about(ms: number): unknown {
  return expect.toSatisfy((value: number) => Math.abs(value - ms) < 20_000, `about ${ms}`);
}

test('clocks that agree leave the arrival as it is in the id, however old', async () => {
  const { monitor, skew, messages } = await openMonitor({ processMs: 5000, postgresMs: -5000 });
  const nowMs = Date.now();
  for (const ageMs of [0, hourMs, 72 * hourMs])
    expect(monitor.arrivedAtMs(`${nowMs - ageMs}-7`)).toBe(nowMs - ageMs);
  for (const clock of ['processor', 'redis', 'postgres'])
    expect(Math.abs((await skew(clock)) ?? 99)).toBeLessThan(25);
  expect(messages).toEqual([]);
});

test('while Redis is behind, ids are moved by as much, and not beyond now', async () => {
  const behindMs = 72 * hourMs;
  const { monitor, skew, lines } = await openMonitor({ processMs: behindMs, postgresMs: behindMs });
  const redisMs = Date.now();
  expect(monitor.arrivedAtMs(`${redisMs}-0`)).toEqual(about(redisMs + behindMs));
  expect(monitor.arrivedAtMs(`${redisMs - hourMs}-0`)).toEqual(about(redisMs - hourMs + behindMs));
  // Added before the clock went back, to the hour: Redis continues from the last id.
  expect(monitor.arrivedAtMs(`${redisMs + behindMs - hourMs}-9`)).toEqual(about(redisMs + behindMs));
  expect(await skew('redis')).toEqual(about(-behindMs / 1000));
  expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
    { msg: 'a clock is wrong', clock: 'redis', hasMajority: true },
  ]);
});

test('an id ahead of the time on which two clocks agree arrived before now', async () => {
  const { monitor } = await openMonitor({ processMs: 0, postgresMs: 0 });
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(`${nowMs + 72 * hourMs}-0`)).toEqual(about(nowMs));
});

test.for([
  ['the process', { processMs: hourMs, postgresMs: 0 }, 'processor'],
  ['Postgres', { processMs: 0, postgresMs: hourMs }, 'postgres'],
] as const)('a wrong clock of %s alone corrects nothing, and is reported', async ([, shifts, clock]) => {
  const { monitor, skew } = await openMonitor(shifts);
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(`${nowMs}-0`)).toBe(nowMs);
  expect(await skew(clock)).toEqual(about(hourMs / 1000));
  expect(Math.abs((await skew('redis')) ?? 99)).toBeLessThan(20);
});

test('three clocks that differ correct nothing', async () => {
  const { monitor, lines } = await openMonitor({ processMs: hourMs, postgresMs: 2 * hourMs });
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(`${nowMs}-0`)).toBe(nowMs);
  expect(monitor.arrivedAtMs(`${nowMs + 72 * hourMs}-0`)).toBe(nowMs + 72 * hourMs);
  expect(lines.filter(({ msg }) => msg === 'a clock is wrong')).toMatchObject([
    { hasMajority: false },
    { hasMajority: false },
  ]);
});

test('the correction stays while Postgres cannot be asked, and ends when the clock is right', async () => {
  const at = await openMonitor({ processMs: hourMs, postgresMs: hourMs });
  const redisMs = Date.now();
  await at.sql.end();
  await eventually(async () => Number.isNaN(await at.skew('postgres')));
  expect(at.monitor.arrivedAtMs(`${redisMs}-0`)).toEqual(about(redisMs + hourMs));
  // The process's clock now agrees with that of Redis.
  at.shiftProcess(0);
  await eventually(() => at.monitor.arrivedAtMs(`${redisMs}-0`) === redisMs);
});
