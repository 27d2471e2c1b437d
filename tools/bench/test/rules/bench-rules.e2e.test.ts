import { startOwnPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { expect, test } from 'vitest';
import { describeMachine } from '../../src/describe-machine.ts';
import { benchEvaluation } from '../../src/rules/bench-evaluation.ts';
import { benchLiveCost } from '../../src/rules/live-cost.ts';
import { reportRules } from '../../src/rules/report.ts';
import { benchResultLatency } from '../../src/rules/result-latency.ts';
import { benchStartUp } from '../../src/rules/start-up.ts';
import { connectServers } from '../../src/servers.ts';

const silent = (): void => undefined;

test('every part measures the real evaluation and appears in the report', { timeout: 600_000 }, async () => {
  const redis = await startRedis();
  await using postgres = await startOwnPostgres({ settings: { fsync: 'on' } });
  await using servers = await connectServers(redis.url, postgres.url, new AsyncDisposableStack());

  const evaluation = await benchEvaluation({ entries: 10, hours: 0.1, rounds: 1 }, silent);
  const live = await benchLiveCost(servers, { entries: 2000, devices: 20, rounds: 1 }, silent);
  const startUp = await benchStartUp(servers, { entries: 2, hours: 0.25 }, silent);
  const latency = await benchResultLatency(servers, { ratePerS: 800, seconds: 3, entries: 20 }, silent);

  for (const { rawUs, scratchUs, liveUs } of [...evaluation.seeded, ...evaluation.long]) {
    expect(scratchUs).toBeGreaterThan(rawUs);
    expect(liveUs).toBeGreaterThan(rawUs);
  }
  for (const us of [live.withoutUs, live.announcingUs, live.evaluatingUs]) expect(us).toBeGreaterThan(0);
  expect(startUp).toMatchObject({ fixes: 1800, peakRssBytes: expect.any(Number) });
  expect(latency.passings).toBeGreaterThan(0);
  expect(latency.announced.p50Ms).toBeGreaterThan(0);
  expect(latency.received.p50Ms).toBeGreaterThan(0);

  const machine = { ...describeMachine(), loadBefore: 100 };
  const { section } = reportRules({
    machine,
    servers: servers.settings,
    evaluation,
    live,
    startUp,
    latency: [latency],
  });
  expect(section).not.toMatch(/NaN|undefined|\[object|\?/u);
  expect(section).toContain('too busy to judge');
});
