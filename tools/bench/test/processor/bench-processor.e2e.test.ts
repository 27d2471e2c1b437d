import { migrate } from '@app/migrate/migrate';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { expect, test } from 'vitest';
import { describeMachine } from '../../src/describe-machine.ts';
import { benchCosts } from '../../src/processor/bench-costs.ts';
import { benchDrain } from '../../src/processor/bench-drain.ts';
import { benchLatency } from '../../src/processor/latency.ts';
import { reportProcessor } from '../../src/processor/report.ts';
import { connectServers } from '../../src/servers.ts';
import { steps } from '../../src/processor/step-costs.ts';

const silent = (): void => undefined;

test('a Postgres that is not durable is not measured', async () => {
  const redis = await startRedis();
  await using database = await startPostgres();
  await using opened = new AsyncDisposableStack();
  await expect(connectServers(redis.url, database.url, opened)).rejects.toThrow('not durable (fsync off');
});

test('every part measures the real processor and appears in the report', { timeout: 120_000 }, async () => {
  const redis = await startRedis();
  await using postgres = await startOwnPostgres({ migrate, settings: { fsync: 'on' } });
  await using servers = await connectServers(redis.url, postgres.url, new AsyncDisposableStack());

  const drain = await benchDrain(servers, { entries: 3000, naiveEntries: 500, rounds: 1 }, 100, silent);
  const latency = await benchLatency(servers, { ratesPerS: [5000], seconds: 2, devices: 100 }, silent);
  const costs = await benchCosts(servers, 4000, [{ devices: 10, attributes: 2 }], silent);

  for (const peer of [drain.raw, drain.processor, drain.naive]) {
    expect(peer.positionsPerS).toBeGreaterThan(0);
    expect(peer.nodeUs).toBeGreaterThan(0);
    expect(peer.peakRssBytes).toBeGreaterThan(2 ** 20);
    // Counted in ticks of 10 ms, which few rows do not always fill.
    expect(peer.postgresUs).toBeGreaterThanOrEqual(0);
  }
  expect(drain.ratioToRaw).toBeCloseTo(drain.processor.positionsPerS / drain.raw.positionsPerS);
  const { records = 0, p50Ms = 0, p99Ms = 0, p999Ms = 0 } = latency[0] ?? {};
  // Without those of the first second.
  expect(records).toBeGreaterThan(0);
  expect(records).toBeLessThan(10_000);
  expect(p50Ms).toBeGreaterThan(0);
  expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
  expect(p999Ms).toBeGreaterThanOrEqual(p99Ms);
  expect(costs).toMatchObject([{ devices: 10, attributes: 2 }]);
  for (const step of steps) expect(costs[0]?.cpuUs[step]).toBeGreaterThan(0);

  const machine = { ...describeMachine(), loadBefore: 100 };
  const results = { machine, servers: servers.settings, drain, timescale: null, latency, costs };
  const { section, charts } = reportProcessor(results);
  expect(section).not.toMatch(/NaN|undefined|\[object/u);
  expect(section).toContain('fsync on');
  expect(section).toContain('too busy to judge');
  for (const [name, svg] of Object.entries(charts)) {
    expect(section).toContain(`(benchmarks/${name})`);
    expect(svg).not.toMatch(/NaN|undefined/u);
  }
});
