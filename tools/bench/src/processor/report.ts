import { machineRows } from '../describe-machine.ts';
import { fixed, whole } from '../format-number.ts';
import { markdownTable } from '../markdown-table.ts';
import { type DrainResults, medianPeer, type Peer } from './bench-drain.ts';
import type { ProcessorResults } from './results.ts';
import { charts, goals } from './charts.ts';
import { steps } from './step-costs.ts';

/** The results as a section of docs/benchmarks.md. */
export function processorSection(results: ProcessorResults): string {
  return `## The processor

${conditions(results)}
${busyNote(results)}
${reachedGoals(results)}

### Drain of a backlog

![bar chart of positions per second](benchmarks/${charts.drain})

${drainTable(results.drain)}

Medians of ${results.drain.rounds.length} round(s), in which the three took turns; the ratios are medians of each round's. All of them share the
machine with Redis and Postgres, so CPU is what limits them, and its use is the steadier number on a busy machine. A
rate counts entries from the first one read to the last one acknowledged, repeated ones included; that every row is
stored is checked each time.${cpuRatio(results.drain)}

${timescaleSection(results)}

### Latency from XADD to the commit

![bar chart of latencies](benchmarks/${charts.latency})

${latencyTable(results)}

Open loop: the generator is a process of its own that waits for nobody. A position is sent when its XADD is written to
the socket and committed when another session sees it, which is after the flush to disk. That session looks every
millisecond, on a busy machine more rarely; how late it sees a commit counts as latency, and 99 % are seen no later
than the last column says.

### Cost of a position

![bar chart of CPU by step](benchmarks/${charts.cost})

${costTable(results)}

CPU in µs of the processor's process, all threads, by step run one after the other; memory asked for in bytes, most of
it garbage a moment later. In flight is what a position keeps from its read to its acknowledgement. Over the drain the
whole process takes ${fixed(results.cost.cpuUsPerPosition, 1)} µs for a position and at most ${whole(results.cost.peakRssBytes / 2 ** 20)} MiB of memory. A device's state takes ${whole(results.cost.bySteps[0]?.stateBytesPerDevice ?? 0)} bytes.`;
}

function conditions({ machine, servers, drain, cost }: ProcessorResults): string {
  const record = cost.bySteps[0];
  return markdownTable(
    ['', ''],
    [
      ...machineRows(machine),
      [
        'versions',
        `Node ${machine.node}, Redis ${servers.redis}, PostgreSQL ${servers.postgres}, TimescaleDB ${servers.timescaledb}`,
      ],
      [
        'durability',
        `Postgres: fsync ${servers.fsync} (${servers.walSyncMethod}), synchronous_commit ${servers.synchronousCommit}, full_page_writes ${servers.fullPageWrites}, ${fixed(servers.commitMs, 2)} ms for a commit; Redis: appendonly ${servers.redisAppendOnly}`,
      ],
      [
        'rows',
        `${whole(drain.entries)} of ${whole(drain.devices)} devices, ${record?.attributes} attributes and ${record?.payloadBytes} bytes of payload on average, ${drain.conflictPercent} % repeated (rows that conflict)`,
      ],
      ['batches', `of ${whole(drain.batchSize)}, ${drain.concurrency} inserts at a time`],
    ],
  );
}

/** Rates and latencies of a busy machine mislead; that they do has to stand above them. */
function busyNote({ machine }: ProcessorResults): string {
  if (machine.loadBefore <= machine.cores / 2) return '';
  return `
**Measured while ${machine.loadBefore.toFixed(0)} other processes wanted these ${machine.cores} cores.** Rates and latencies are what was left for it, and say little
about the processor. The CPU of a position does.
`;
}

function reachedGoals({ drain, latency }: ProcessorResults): string {
  const at = latency[goals.p99AtPerS];
  const p99Ms = at?.p99Ms ?? Number.NaN;
  return markdownTable(
    ['goal', 'measured', 'reached'],
    [
      [
        `drain: at least ${goals.ratioToRaw} of the raw limit`,
        fixed(drain.ratioToRaw, 2),
        verdict(drain.ratioToRaw >= goals.ratioToRaw),
      ],
      [
        `drain: at least ${whole(goals.positionsPerS)} positions/s on 2 cores`,
        whole(drain.positionsPerS),
        verdict(drain.positionsPerS >= goals.positionsPerS),
      ],
      [
        `drain: at least ${goals.ratioToNaive} times a naive consumer`,
        fixed(drain.ratioToNaive, 1),
        verdict(drain.ratioToNaive >= goals.ratioToNaive),
      ],
      [
        `latency: p99 at most ${goals.p99Ms} ms at ${whole(goals.p99AtPerS)}/s`,
        `${fixed(p99Ms, 1)} ms`,
        verdict(p99Ms <= goals.p99Ms),
      ],
    ],
    [1],
  );
}

function verdict(isReached: boolean): string {
  return isReached ? 'yes' : '**no**';
}

function drainTable({ rounds, ratioToRaw, ratioToNaive }: DrainResults): string {
  return markdownTable(
    ['', 'positions/s', 'Node µs', 'Postgres µs', 'Redis µs', 'CPU in all µs', ''],
    [
      peerRow(
        'raw limit',
        rounds.map(({ raw }) => raw),
        'a bare loop: the same rows, in memory, the same statement and concurrency',
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
  return ` By CPU in all the raw loop takes ${fixed(cpuRatioToRaw, 2)} of what the processor does,
and that is the ratio to expect where no core is ever idle: the rest is read, decoded, heard and acknowledged for.`;
}

function timescaleSection({ timescale }: ProcessorResults): string {
  if (timescale === null) {
    return `There is no TimescaleDB where this was measured. With \`TIMESCALE_URL\`, or an engine that runs its container, the
drain is measured on one as well.`;
  }
  const { postgres, timescaledb, fsync, synchronousCommit } = timescale.servers;
  return `On TimescaleDB ${timescaledb} (PostgreSQL ${postgres}, fsync ${fsync}, synchronous_commit ${synchronousCommit}):

${drainTable(timescale.drain)}`;
}

function latencyTable({ latency }: ProcessorResults): string {
  return markdownTable(
    ['asked for per s', 'sent per s', 'p50', 'p99', 'p99.9', 'seen at most'],
    Object.values(latency).map(({ ratePerS, sentPerS, p50Ms, p99Ms, p999Ms, seenLateMs }) => [
      whole(ratePerS),
      whole(sentPerS),
      `${fixed(p50Ms, 1)} ms`,
      `${fixed(p99Ms, 1)} ms`,
      `${fixed(p999Ms, 1)} ms`,
      `${fixed(seenLateMs, 1)} ms late`,
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
