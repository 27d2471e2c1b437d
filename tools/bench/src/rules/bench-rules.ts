import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine } from '../describe-machine.ts';
import { openServers } from '../servers.ts';
import { benchEvaluation } from './bench-evaluation.ts';
import { benchLiveCost } from './live-cost.ts';
import { reportRules } from './report.ts';
import { benchResultLatency, type ResultLatency } from './result-latency.ts';
import { benchStartUp } from './start-up.ts';

const full = {
  evaluate: { entries: 50, hours: 1, rounds: 5 },
  live: { entries: 200_000, devices: 1000, rounds: 3 },
  startUp: { entries: 200, hours: 6 },
  latency: [300, 1000].map((entries) => ({ ratePerS: 2000, seconds: 60, entries })),
};

const quick = {
  evaluate: { entries: 5, hours: 0.5, rounds: 1 },
  live: { entries: 20_000, devices: 100, rounds: 1 },
  startUp: { entries: 5, hours: 1 },
  latency: [{ ratePerS: 500, seconds: 10, entries: 50 }],
};

export const benchRules: Benchmark = {
  measures: 'evaluation of a race: CPU per fix, start-up, memory, time until a result is known',
  takes: '8 minutes, with --quick a minute',
  run: runRulesBenchmark,
};

async function runRulesBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? quick : full;
  const machine = describeMachine();
  const evaluation = await benchEvaluation(sizes.evaluate, print);
  await using servers = await openServers(print);
  const live = await benchLiveCost(servers, sizes.live, print);
  const startUp = await benchStartUp(servers, sizes.startUp, print);
  const latency: ResultLatency[] = [];
  for (const size of sizes.latency) latency.push(await benchResultLatency(servers, size, print));
  return reportRules({ machine, servers: servers.settings, evaluation, live, startUp, latency });
}
