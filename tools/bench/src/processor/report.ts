import { barChart } from '../bar-chart.ts';
import type { Outcome } from '../benchmark.ts';
import type { Machine } from '../describe-machine.ts';
import { formatNumber } from '../format-number.ts';
import { conditions, goalTable, markdownTable } from '../report.ts';
import type { ServerSettings } from '../servers.ts';
import type { Costs } from './bench-costs.ts';
import type { DrainResults, Peer } from './bench-drain.ts';
import type { Latency } from './latency.ts';
import { batchSize, concurrency } from './run-processor.ts';
import { steps } from './step-costs.ts';

export interface ProcessorResults {
  readonly machine: Machine;
  readonly servers: ServerSettings;
  readonly drain: DrainResults;
  /** The same on a TimescaleDB; null where there is none. */
  readonly timescale: { readonly servers: ServerSettings; readonly drain: DrainResults } | null;
  readonly latency: readonly Latency[];
  readonly costs: readonly Costs[];
}

const goals = {
  positionsPerS: 40_000,
  ratioToRaw: 0.8,
  ratioToNaive: 3,
  p99Ms: 50,
  p99AtPerS: 5000,
} as const;

export function reportProcessor(results: ProcessorResults): Outcome {
  const { drain, latency, costs } = results;
  const charts = {
    'processor-drain.svg': barChart({
      title: 'Drain of a backlog',
      unit: 'positions/s',
      bars: [
        { label: 'raw limit', value: drain.raw.positionsPerS },
        { label: 'processor', value: drain.processor.positionsPerS },
        { label: 'naive consumer', value: drain.naive.positionsPerS },
      ],
      goal: goals.positionsPerS,
    }),
    'processor-latency.svg': barChart({
      title: 'p99 latency from XADD to commit',
      unit: 'ms',
      bars: latency.map(({ ratePerS, p99Ms }) => ({
        label: `${formatNumber(ratePerS)} positions/s`,
        value: p99Ms,
      })),
      goal: goals.p99Ms,
    }),
    'processor-cost.svg': barChart({
      title: 'CPU per position',
      unit: 'µs',
      bars: costs.map((cost) => ({
        label: `${formatNumber(cost.devices)} devices × ${cost.attributes} attributes`,
        value: sumOf(cost),
      })),
    }),
  };
  return { results, section: section(results), charts };
}

function section({ machine, servers, drain, timescale, latency, costs }: ProcessorResults): string {
  return `## Processor

${conditions(machine, servers)}

${goalTable([
  { name: 'drain: ratio to the raw limit', measured: drain.ratioToRaw, atLeast: goals.ratioToRaw },
  {
    name: 'drain: positions/s on 2 cores',
    measured: drain.processor.positionsPerS,
    atLeast: goals.positionsPerS,
  },
  { name: 'drain: ratio to a naive consumer', measured: drain.ratioToNaive, atLeast: goals.ratioToNaive },
  {
    name: `latency: p99 in ms at ${formatNumber(goals.p99AtPerS)}/s`,
    measured: latency.find(({ ratePerS }) => ratePerS === goals.p99AtPerS)?.p99Ms ?? Number.NaN,
    atMost: goals.p99Ms,
  },
])}

### Drain of a backlog

![bar chart of positions per second](benchmarks/processor-drain.svg)

${drainTable(drain)}

${formatNumber(drain.entries)} positions of ${formatNumber(drain.devices)} devices, ${costs[0]?.attributes} attributes and ${costs[0]?.payloadBytes} bytes of payload on average, ${drain.repeatedPercent} % repeated, in batches
of ${formatNumber(batchSize)}, ${concurrency} concurrent inserts. Medians of ${drain.rounds} round(s), each with all three. Redis and Postgres share the machine, so CPU
limits all; on a busy machine CPU is the steadier number. A rate counts from the first read to the last acknowledgement, and
each run checks that every row is stored. In total CPU the raw limit takes ${formatNumber(drain.cpuRatioToRaw)} of the processor, the ratio to expect if no
core is idle. The naive consumer reads 100, validates with zod, inserts with \`VALUES\`, awaits, acknowledges.

${
  timescale === null
    ? 'Measured without TimescaleDB. With `TIMESCALE_URL` or a container engine the drain is measured on one as well.'
    : `On TimescaleDB ${timescale.servers.timescaledb} (PostgreSQL ${timescale.servers.postgres}):\n\n${drainTable(timescale.drain)}`
}

### Latency from XADD to commit

![bar chart of latencies](benchmarks/processor-latency.svg)

${markdownTable(
  ['requested per s', 'sent per s', 'p50 ms', 'p99 ms', 'p99.9 ms'],
  latency.map(({ ratePerS, sentPerS, p50Ms, p99Ms, p999Ms }) => [ratePerS, sentPerS, p50Ms, p99Ms, p999Ms]),
)}

Open loop: the generator is a separate process that does not wait for the consumer. A position is sent when its XADD is
written to the socket, and committed when another session is notified of it, after the flush to disk.

### CPU per position

![bar chart of CPU by shape](benchmarks/processor-cost.svg)

${markdownTable(
  ['devices', 'attributes', ...steps.map((step) => `${step} µs`), 'sum µs'],
  costs.map((cost) => [cost.devices, cost.attributes, ...steps.map((step) => cost.cpuUs[step]), sumOf(cost)]),
)}

All threads of the processor's process, by step run one after the other.`;
}

function drainTable({ raw, processor, naive, ratioToRaw, ratioToNaive }: DrainResults): string {
  return markdownTable(
    ['', 'positions/s', 'Node µs', 'Postgres µs', 'Redis µs', 'total CPU µs', 'peak MiB', ''],
    [
      peerRow('raw limit', raw, 'the same rows in memory, same statement and concurrency'),
      peerRow('**processor**', processor, `**${formatNumber(ratioToRaw)} of the raw limit**`),
      peerRow('naive consumer', naive, `the processor is ${formatNumber(ratioToNaive)} times as fast`),
    ],
  );
}

function sumOf({ cpuUs }: Costs): number {
  return steps.reduce((sum, step) => sum + cpuUs[step], 0);
}

function peerRow(name: string, peer: Peer, ratio: string): (string | number)[] {
  return [
    name,
    peer.positionsPerS,
    peer.nodeUs,
    peer.postgresUs,
    peer.redisUs,
    peer.totalUs,
    peer.peakRssBytes / 2 ** 20,
    ratio,
  ];
}
