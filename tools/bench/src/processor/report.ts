import { machineRow } from '../describe-machine.ts';
import { fixed, whole } from '../format-number.ts';
import { type Goal, goalTable, markdownTable } from '../markdown-table.ts';
import { type DrainResults, medianPeer, type Peer } from './bench-drain.ts';
import type { ProcessorResults } from './results.ts';
import { charts, goals } from './charts.ts';
import { steps } from './step-costs.ts';

/** The results as a section of docs/benchmarks.md. */
export function processorSection(results: ProcessorResults): string {
  const { drain, cost } = results;
  return `## Processor

${conditions(results)}
${busyNote(results)}
${goalTable(goalsOf(results))}

### Drain of a backlog
![bar chart of positions per second](benchmarks/${charts.drain})

${drainTable(drain)}

Medians of ${drain.rounds.length} round(s), each with all three; ratios are medians of the rounds' ratios. All share the machine with Redis and Postgres, so
CPU limits them; on a busy machine CPU is the steadier number. A rate counts entries, repeated ones included, from the first read to the
last acknowledgement. Each run checks that every row is stored.${cpuRatio(drain)}

${timescaleSection(results)}

### Latency from XADD to commit
![bar chart of latencies](benchmarks/${charts.latency})

${latencyTable(results)}

Open loop: the generator is a separate process that does not wait for the consumer. A position is sent when its XADD is written to the
socket, and committed when another session sees it, after the flush to disk. That session polls every millisecond, less often on a busy
machine; the delay counts as latency, and the last column is its 99th percentile.

### Cost per position
![bar chart of CPU by step](benchmarks/${charts.cost})

${costTable(results)}

CPU in µs of all threads of the processor's process, by step run one after the other; allocated memory in bytes, most of it short-lived. In
flight is what a position retains from its read to its acknowledgement. During the drain the process takes ${fixed(cost.cpuUsPerPosition, 1)} µs per position and
at most ${whole(cost.peakRssBytes / 2 ** 20)} MiB of memory. The state of a device takes ${whole(cost.bySteps[0]?.stateBytesPerDevice ?? 0)} bytes.`;
}

function conditions({ machine, servers, drain, cost }: ProcessorResults): string {
  const record = cost.bySteps[0];
  return markdownTable(
    ['', ''],
    [
      machineRow(machine),
      [
        'versions',
        `Node ${machine.node}, Redis ${servers.redis}, PostgreSQL ${servers.postgres}, TimescaleDB ${servers.timescaledb}`,
      ],
      [
        'durability',
        `Postgres: fsync ${servers.fsync} (${servers.walSyncMethod}), synchronous_commit ${servers.synchronousCommit}, full_page_writes ${servers.fullPageWrites}, ${fixed(servers.commitMs, 2)} ms per commit; Redis: appendonly ${servers.redisAppendOnly}`,
      ],
      [
        'rows',
        `${whole(drain.entries)} of ${whole(drain.devices)} devices, ${record?.attributes} attributes and ${record?.payloadBytes} bytes of payload on average, ${drain.conflictPercent} % repeated`,
      ],
      ['batches', `of ${whole(drain.batchSize)}, ${drain.concurrency} concurrent inserts`],
    ],
  );
}

function busyNote({ machine }: ProcessorResults): string {
  if (machine.loadBefore <= machine.cores / 2) return '';
  return `
**Measured with a load of ${machine.loadBefore.toFixed(0)} on ${machine.cores} cores.** Rates and latencies say little about the processor; CPU per position does.
`;
}

function goalsOf({ drain, latency }: ProcessorResults): readonly Goal[] {
  const p99Ms = latency[goals.p99AtPerS]?.p99Ms ?? Number.NaN;
  return [
    {
      goal: `drain: at least ${goals.ratioToRaw} of the raw limit`,
      measured: fixed(drain.ratioToRaw, 2),
      isReached: drain.ratioToRaw >= goals.ratioToRaw,
    },
    {
      goal: `drain: at least ${whole(goals.positionsPerS)} positions/s on 2 cores`,
      measured: whole(drain.positionsPerS),
      isReached: drain.positionsPerS >= goals.positionsPerS,
    },
    {
      goal: `drain: at least ${goals.ratioToNaive} times a naive consumer`,
      measured: fixed(drain.ratioToNaive, 1),
      isReached: drain.ratioToNaive >= goals.ratioToNaive,
    },
    {
      goal: `latency: p99 at most ${goals.p99Ms} ms at ${whole(goals.p99AtPerS)}/s`,
      measured: `${fixed(p99Ms, 1)} ms`,
      isReached: p99Ms <= goals.p99Ms,
    },
  ];
}

function drainTable({ rounds, ratioToRaw, ratioToNaive }: DrainResults): string {
  return markdownTable(
    ['', 'positions/s', 'Node µs', 'Postgres µs', 'Redis µs', 'total CPU µs', ''],
    [
      peerRow(
        'raw limit',
        rounds.map(({ raw }) => raw),
        'the same rows in memory, same statement and concurrency',
      ),
      peerRow(
        '**processor**',
        rounds.map(({ processor }) => processor),
        `**${fixed(ratioToRaw, 2)} of the raw limit**`,
      ),
      peerRow(
        'naive consumer',
        rounds.map(({ naive }) => naive),
        `COUNT 100, zod, multi-row VALUES, await, XACK; the processor is ${fixed(ratioToNaive, 1)} times as fast`,
      ),
    ],
    [1, 2, 3, 4, 5],
  );
}

function peerRow(name: string, peers: readonly Peer[], what: string): string[] {
  const { positionsPerS, cpuUs } = medianPeer(peers);
  const { node, postgres, redis } = cpuUs;
  return [
    name,
    whole(positionsPerS),
    cpuCell(node),
    cpuCell(postgres),
    cpuCell(redis),
    cpuCell(node + postgres + redis),
    what,
  ];
}

function cpuCell(us: number): string {
  return Number.isNaN(us) ? '?' : fixed(us, 1);
}

function cpuRatio({ cpuRatioToRaw }: DrainResults): string {
  if (Number.isNaN(cpuRatioToRaw)) return '';
  return ` In total CPU the raw limit takes ${fixed(cpuRatioToRaw, 2)} of the processor, the ratio to expect
if no core is idle; the rest is reading, decoding, state and acknowledging.`;
}

function timescaleSection({ timescale }: ProcessorResults): string {
  if (timescale === null) {
    return `Measured without TimescaleDB. With \`TIMESCALE_URL\` or a container engine the drain is measured on one as well.`;
  }
  const { postgres, timescaledb, fsync, synchronousCommit } = timescale.servers;
  return `On TimescaleDB ${timescaledb} (PostgreSQL ${postgres}, fsync ${fsync}, synchronous_commit ${synchronousCommit}):

${drainTable(timescale.drain)}`;
}

function latencyTable({ latency }: ProcessorResults): string {
  return markdownTable(
    ['requested per s', 'sent per s', 'p50', 'p99', 'p99.9', 'observation delay'],
    Object.values(latency).map(({ ratePerS, sentPerS, p50Ms, p99Ms, p999Ms, seenLateMs }) => [
      whole(ratePerS),
      whole(sentPerS),
      `${fixed(p50Ms, 1)} ms`,
      `${fixed(p99Ms, 1)} ms`,
      `${fixed(p999Ms, 1)} ms`,
      `${fixed(seenLateMs, 1)} ms`,
    ]),
    [0, 1, 2, 3, 4, 5],
  );
}

function costTable({ cost }: ProcessorResults): string {
  return markdownTable(
    ['devices', 'attributes', ...steps, 'in flight'],
    cost.bySteps.map(({ devices, attributes, cpuUs, allocatedBytes, inFlightBytes }) => [
      whole(devices),
      String(attributes),
      ...steps.map((step) => `${fixed(cpuUs[step], 1)} µs, ${whole(allocatedBytes[step])} B`),
      `${whole(inFlightBytes)} B`,
    ]),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
}
