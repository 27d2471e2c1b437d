import { barChart } from '../bar-chart.ts';
import { whole } from '../format-number.ts';
import { medianPeer, type Peer } from './bench-drain.ts';
import type { ProcessorResults } from './results.ts';
import { steps } from './step-costs.ts';

export const charts = {
  drain: 'processor-drain.svg',
  latency: 'processor-latency.svg',
  cost: 'processor-cost.svg',
} as const;

/** SVG by file name. */
export function processorCharts({
  drain,
  latency,
  cost,
}: ProcessorResults): Readonly<Record<string, string>> {
  return {
    [charts.drain]: barChart({
      title: 'Drain of a backlog',
      unit: 'positions/s',
      digits: 0,
      parts: ['positions/s'],
      arrangement: 'grouped',
      bars: [
        { label: 'raw limit', values: [rateOf(drain.rounds.map(({ raw }) => raw))] },
        { label: 'processor', values: [drain.positionsPerS] },
        { label: 'naive consumer', values: [rateOf(drain.rounds.map(({ naive }) => naive))] },
      ],
      goal: { value: goals.positionsPerS, label: `goal ${whole(goals.positionsPerS)}` },
    }),
    [charts.latency]: barChart({
      title: 'Latency from XADD to commit',
      unit: 'ms',
      digits: 1,
      parts: ['p50', 'p99', 'p99.9'],
      arrangement: 'grouped',
      bars: Object.values(latency).map(({ ratePerS, p50Ms, p99Ms, p999Ms }) => ({
        label: `${whole(ratePerS)} positions/s`,
        values: [p50Ms, p99Ms, p999Ms],
      })),
      goal: { value: goals.p99Ms, label: `goal for p99 at ${whole(goals.p99AtPerS)}/s` },
    }),
    [charts.cost]: barChart({
      title: 'CPU per position by step',
      unit: 'µs',
      digits: 1,
      parts: steps,
      arrangement: 'stacked',
      bars: cost.bySteps.map(({ devices, attributes, cpuUs }) => ({
        label: `${whole(devices)} devices × ${attributes} attributes`,
        values: steps.map((step) => cpuUs[step]),
      })),
    }),
  };
}

export const goals = {
  positionsPerS: 40_000,
  ratioToRaw: 0.8,
  ratioToNaive: 3,
  p99Ms: 50,
  p99AtPerS: 5000,
} as const;

function rateOf(peers: readonly Peer[]): number {
  return medianPeer(peers).positionsPerS;
}
