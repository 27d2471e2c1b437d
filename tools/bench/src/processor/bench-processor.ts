import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine } from '../describe-machine.ts';
import { benchCosts, type Shape } from './bench-costs.ts';
import { benchDrain } from './bench-drain.ts';
import { benchLatency } from './latency.ts';
import { reportProcessor } from './report.ts';
import { openServers, openTimescale } from '../servers.ts';

const devices = 1000;

interface Sizes {
  readonly drain: { readonly entries: number; readonly naiveEntries: number; readonly rounds: number };
  readonly latencySeconds: number;
  readonly costEntries: number;
  readonly shapes: readonly Shape[];
}

const full: Sizes = {
  drain: { entries: 500_000, naiveEntries: 50_000, rounds: 5 },
  latencySeconds: 20,
  costEntries: 60_000,
  shapes: [
    { devices },
    { devices: 10 },
    { devices: 10_000 },
    { devices: 100_000 },
    { devices, attributes: 2 },
    { devices, attributes: 10 },
    { devices, attributes: 50 },
    { devices, attributes: 100 },
  ],
};

const quick: Sizes = {
  drain: { entries: 50_000, naiveEntries: 5000, rounds: 1 },
  latencySeconds: 3,
  costEntries: 20_000,
  shapes: [{ devices }],
};

export const benchProcessor: Benchmark = {
  measures: 'drain of a backlog, latency, cost per position',
  takes: '6 minutes, with --quick half a minute',
  run: runProcessorBenchmark,
};

async function runProcessorBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? quick : full;
  const machine = describeMachine();
  await using servers = await openServers(print);
  await using timescaleServers = await openTimescale(servers.redisUrl, print);
  const drain = await benchDrain(servers, sizes.drain, devices, print);
  const latency = await benchLatency(
    servers,
    { ratesPerS: [1000, 5000, 20_000], seconds: sizes.latencySeconds, devices },
    print,
  );
  const timescale =
    timescaleServers === undefined
      ? null
      : {
          servers: timescaleServers.settings,
          drain: await benchDrain(timescaleServers, sizes.drain, devices, print),
        };
  const costs = await benchCosts(servers, sizes.costEntries, sizes.shapes, print);
  return reportProcessor({ machine, servers: servers.settings, drain, timescale, latency, costs });
}
