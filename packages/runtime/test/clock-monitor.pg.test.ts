import { eventually } from '@app/test-kit/eventually';
import { startPostgres } from '@app/test-kit/postgres';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { startRedisWithUsers } from '@app/test-kit/redis-with-users';
import { shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { ClockMonitor } from '../src/clock-monitor.ts';
import { captureLog } from './capture-log.ts';

const hourMs = 3_600_000;

/** A monitor whose process's and Postgres' clocks are ahead of the real one, which Redis has, by so much. */
async function openMonitor(options: {
  readonly processMs: number;
  readonly postgresMs: number;
  readonly redisUrl?: string;
  readonly intervalMs?: number;
  /** Awaited before Postgres is asked. */
  readonly beforeSql?: () => Promise<void>;
}) {
  const [redisServer, database] = await Promise.all([startRedis(), startPostgres()]);
  const admin = postgres(database.url, { max: 1 });
  await shiftPostgresClock(admin, options.postgresMs);
  const sql = postgres(database.url, { max: 1 });
  const redis = new Redis(options.redisUrl ?? redisServer.url);
  redis.on('error', () => undefined);
  const { log, lines, messages } = captureLog();
  const skews = new Map<string, number>();
  let processMs = options.processMs;
  let measurements = 0;
  const monitor = new ClockMonitor({
    service: 'processor',
    redis,
    runSql: async (query) => {
      await options.beforeSql?.();
      return query(sql);
    },
    intervalMs: options.intervalMs ?? 10,
    nowMs: () => Date.now() + processMs,
    onSkew: (clock, skewSeconds) => {
      measurements += clock === 'processor' ? 1 : 0;
      skews.set(clock, skewSeconds);
    },
    log,
  });
  onTestFinished(async () => {
    await monitor[Symbol.asyncDispose]();
    redis.disconnect();
    await Promise.all([sql.end(), admin.end()]);
    await Promise.all([redisServer[Symbol.asyncDispose](), database[Symbol.asyncDispose]()]);
  });
  await monitor.start();
  return {
    messages,
    lines: () => lines.map((line): Readonly<Record<string, unknown>> => JSON.parse(line)),
    monitor,
    sql,
    measurements: () => measurements,
    skew: (clock: string) => skews.get(clock) ?? Number.NaN,
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
  for (const ageMs of [0, hourMs, 72 * hourMs]) {
    expect(monitor.arrivedAtMs(nowMs - ageMs)).toBe(nowMs - ageMs);
    expect(monitor.ageMs(nowMs - ageMs)).toEqual(about(ageMs));
  }
  for (const clock of ['processor', 'redis', 'postgres']) expect(Math.abs(skew(clock))).toBeLessThan(25);
  expect(messages()).toEqual([]);
});

test('while Redis is behind, ids are moved by as much, and not beyond now', async () => {
  const behindMs = 72 * hourMs;
  const { monitor, skew, lines } = await openMonitor({ processMs: behindMs, postgresMs: behindMs });
  const redisMs = Date.now();
  expect(monitor.arrivedAtMs(redisMs)).toEqual(about(redisMs + behindMs));
  expect(monitor.arrivedAtMs(redisMs - hourMs)).toEqual(about(redisMs - hourMs + behindMs));
  // Added before the clock went back, to the hour: Redis continues from the last id.
  expect(monitor.arrivedAtMs(redisMs + behindMs - hourMs)).toEqual(about(redisMs + behindMs));
  expect(monitor.ageMs(redisMs + behindMs - hourMs)).toBeNaN();
  for (const ageMs of [0, hourMs]) expect(monitor.ageMs(redisMs - ageMs)).toEqual(about(ageMs));
  expect(monitor.nowMs()).toEqual(about(redisMs + behindMs));
  expect(skew('redis')).toEqual(about(-behindMs / 1000));
  expect(lines().filter(({ level }) => level === 'error')).toMatchObject([
    { msg: 'a clock is wrong', clock: 'redis', hasMajority: true },
  ]);
});

test('an id ahead of the time on which two clocks agree arrived before now', async () => {
  const { monitor } = await openMonitor({ processMs: 0, postgresMs: 0 });
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(nowMs + 72 * hourMs)).toEqual(about(nowMs));
  expect(monitor.ageMs(nowMs + 72 * hourMs)).toBeNaN();
});

test.for([
  ['the process', { processMs: hourMs, postgresMs: 0 }, 'processor'],
  ['Postgres', { processMs: 0, postgresMs: hourMs }, 'postgres'],
] as const)('a wrong clock of %s alone corrects nothing, and is reported', async ([, shifts, clock]) => {
  const { monitor, skew } = await openMonitor(shifts);
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(nowMs)).toBe(nowMs);
  expect(monitor.nowMs()).toEqual(about(nowMs));
  expect(monitor.ageMs(nowMs)).toEqual(about(0));
  expect(skew(clock)).toEqual(about(hourMs / 1000));
  expect(Math.abs(skew('redis'))).toBeLessThan(20);
});

test('three clocks that differ correct nothing', async () => {
  const { monitor, lines } = await openMonitor({ processMs: hourMs, postgresMs: 2 * hourMs });
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(nowMs)).toBe(nowMs);
  expect(monitor.arrivedAtMs(nowMs + 72 * hourMs)).toBe(nowMs + 72 * hourMs);
  expect(monitor.ageMs(nowMs + 72 * hourMs)).toBeNaN();
  expect(lines().filter(({ msg }) => msg === 'a clock is wrong')).toMatchObject([
    { hasMajority: false },
    { hasMajority: false },
  ]);
});

test('the correction stays while Postgres cannot be asked, and ends when the clock is right', async () => {
  const at = await openMonitor({ processMs: hourMs, postgresMs: hourMs });
  const redisMs = Date.now();
  await at.sql.end();
  await eventually(() => Number.isNaN(at.skew('postgres')));
  expect(at.monitor.arrivedAtMs(redisMs)).toEqual(about(redisMs + hourMs));
  // The process's clock now agrees with that of Redis.
  at.shiftProcess(0);
  await eventually(() => at.monitor.arrivedAtMs(redisMs) === redisMs);
});

test("setting this process's clock back changes no arrival before the next comparison", async () => {
  const { monitor, shiftProcess } = await openMonitor({ processMs: 0, postgresMs: 0, intervalMs: 3_600_000 });
  shiftProcess(-72 * hourMs);
  const nowMs = Date.now();
  expect(monitor.arrivedAtMs(nowMs)).toBe(nowMs);
  expect(monitor.nowMs()).toEqual(about(nowMs));
});

test('a Redis that is back with a clock that is behind is noticed at once', async () => {
  await using server = await startOwnRedis({ keepsData: false });
  const behindMs = 72 * hourMs;
  await server.kill();
  const { monitor } = await openMonitor({
    processMs: behindMs,
    postgresMs: behindMs,
    redisUrl: server.url,
    intervalMs: 3_600_000,
  });
  const redisMs = Date.now();
  expect(monitor.arrivedAtMs(redisMs)).toBe(redisMs);
  await server.start();
  await eventually(() => monitor.arrivedAtMs(redisMs) > redisMs + hourMs);
  expect(monitor.arrivedAtMs(redisMs)).toEqual(about(redisMs + behindMs));
});

test('a clock that has not answered is not asked again', async () => {
  let asked = 0;
  const answer = Promise.withResolvers<void>();
  const at = await openMonitor({
    processMs: 0,
    postgresMs: 0,
    beforeSql: () => {
      asked += 1;
      return answer.promise;
    },
  });
  await eventually(() => at.measurements() > 20);
  expect([asked, at.skew('postgres')]).toEqual([1, Number.NaN]);
  answer.resolve();
  await eventually(() => at.skew('postgres') < 20);
});

test('a Redis that refuses TIME is reported once, and corrects nothing', async () => {
  await using users = await startRedisWithUsers();
  const admin = new Redis(users.urlOf('admin'));
  await admin.call('ACL', 'SETUSER', 'live-gateway', '-time');
  admin.disconnect();
  const at = await openMonitor({
    processMs: hourMs,
    postgresMs: hourMs,
    redisUrl: users.urlOf('live-gateway'),
  });
  await eventually(() => at.measurements() > 20);
  const nowMs = Date.now();
  expect(at.monitor.arrivedAtMs(nowMs)).toBe(nowMs);
  expect(at.skew('redis')).toBeNaN();
  expect(at.messages()).toEqual(['Redis refuses TIME, so its clock is not compared; grant +time']);
});
