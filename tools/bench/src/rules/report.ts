import type { Outcome } from '../benchmark.ts';
import type { Machine } from '../describe-machine.ts';
import { formatNumber } from '../format-number.ts';
import { median } from '../quantile.ts';
import { conditions, goalTable, markdownTable } from '../report.ts';
import type { ServerSettings } from '../servers.ts';
import type { Evaluation } from './bench-evaluation.ts';
import type { LiveCost } from './live-cost.ts';
import type { ResultLatency } from './result-latency.ts';
import type { StartUp } from './start-up.ts';

export interface RulesResults {
  readonly machine: Machine;
  readonly servers: ServerSettings;
  readonly evaluation: Evaluation;
  readonly live: LiveCost;
  readonly startUp: StartUp;
  readonly latency: readonly ResultLatency[];
}

const goals = { fixesPerS: 500_000, addedUs: 2, startUpS: 30, p99Ms: 1000 } as const;

export function reportRules(results: RulesResults): Outcome {
  return { results, section: section(results), charts: {} };
}

function section({ machine, servers, evaluation, live, startUp, latency }: RulesResults): string {
  const courses = [
    { name: 'the course of the demo: 12 gates, 20 waypoints, 2 zones', rounds: evaluation.seeded },
    { name: 'a stage of 30 gates, 20 waypoints, 5 zones', rounds: evaluation.long },
  ].map(({ name, rounds }) => ({
    name,
    rawUs: median(rounds.map(({ rawUs }) => rawUs)),
    scratchUs: median(rounds.map(({ scratchUs }) => scratchUs)),
    liveUs: median(rounds.map(({ liveUs }) => liveUs)),
    timesRaw: median(rounds.map(({ rawUs, scratchUs }) => scratchUs / rawUs)),
  }));
  return `## Rules

${conditions(machine, servers)}

${goalTable([
  ...courses.map(({ name, scratchUs }) => ({
    name: `evaluation from scratch, fixes per second of CPU, ${name.split(':')[0] ?? ''}`,
    measured: 1e6 / scratchUs,
    atLeast: goals.fixesPerS,
  })),
  {
    name: 'live path: CPU added to the drain, µs per position',
    measured: live.addedByAnnouncingUs,
    atMost: goals.addedUs,
  },
  {
    name: 'start-up: seconds until all results are in the tables',
    measured: startUp.seconds,
    atMost: goals.startUpS,
  },
  ...latency.map(({ entries, received }) => ({
    name: `a result is at a client: p99 in ms after the commit of its fix, ${formatNumber(entries)} entries`,
    measured: received.p99Ms,
    atMost: goals.p99Ms,
  })),
])}

### Evaluation

CPU of one thread in µs per fix, of ${evaluation.entries} entries with a fix a second for ${evaluation.hours} h: medians of ${evaluation.rounds} round(s). The raw loop only converts each
fix to metres and measures how far it is from the one before. From scratch is \`evaluateRace\`, with judging and classification; as
they arrive is what the processor does for each fix, which folds it twice: for the results now, and a minute later for the checkpoint.

${markdownTable(
  ['', 'raw loop', 'from scratch', 'times the raw loop', 'as they arrive'],
  courses.map(({ name, rawUs, scratchUs, timesRaw, liveUs }) => [name, rawUs, scratchUs, timesRaw, liveUs]),
)}

### Live path

CPU of the processor per position, while it drains ${formatNumber(live.entries)} positions of ${formatNumber(live.devices)} devices, each in an entry of one event. Medians of ${live.rounds} round(s), each with
all three. A drain brings minutes of a race in a second, which the evaluation follows as fast as it can.

${markdownTable(
  ['', 'µs', 'added µs'],
  [
    ['no event is running', live.withoutUs, ''],
    ['fixes are appended to `stored:<event>`', live.announcingUs, live.addedByAnnouncingUs],
    ['the same process evaluates them', live.evaluatingUs, live.addedByEvaluatingUs],
  ],
)}

### Start-up and memory

A processor starts on an event of ${startUp.entries} entries with ${startUp.hours} h of fixes a second, ${formatNumber(startUp.fixes)} rows of 19 attributes. From the start of the process
until the tables hold all results: ${formatNumber(startUp.seconds)} s, with ${formatNumber(startUp.nodeSeconds)} s of CPU of the processor and ${formatNumber(startUp.postgresSeconds)} s of Postgres. The process takes at most ${formatNumber(startUp.peakRssBytes / 2 ** 20)} MiB.

What is kept of a device, two checkpoints of the fold, one to two minutes of fixes and its observations, grows with what it passes, on the
stage with 30 gates by hours driven:

${markdownTable(
  ['hours', 'KiB per device', 'MiB for 200 devices', 'MiB for 1,000 devices'],
  evaluation.memory.map(({ hours, bytesPerDevice }) => [
    hours,
    bytesPerDevice / 2 ** 10,
    (200 * bytesPerDevice) / 2 ** 20,
    (1000 * bytesPerDevice) / 2 ** 20,
  ]),
)}

### From a fix to its result

Fixes of vehicles that are all entries of one event, at a fixed rate. From the commit of the fix behind a gate until the passing is
known: read from \`results:<event>\` in Redis, and by a client of a gateway.

${markdownTable(
  [
    'entries',
    'fixes sent per s',
    'passings',
    'announced p50 ms',
    'p99 ms',
    'received p50 ms',
    'p99 ms',
    'max ms',
  ],
  latency.map(({ entries, sentPerS, passings, announced, received }) => [
    entries,
    sentPerS,
    passings,
    announced.p50Ms,
    announced.p99Ms,
    received.p50Ms,
    received.p99Ms,
    received.maxMs,
  ]),
)}`;
}
