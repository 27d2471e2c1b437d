import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine } from '../describe-machine.ts';
import { formatNumber } from '../format-number.ts';
import { type BacklogOptions, fillStream } from '../processor/backlog.ts';
import { drainWithProcessor, medianPeer, type Peer, runRaw } from '../processor/bench-drain.ts';
import { batchSize, concurrency } from '../processor/run-processor.ts';
import { conditions, markdownTable } from '../report.ts';
import { type BenchServers, openServers } from '../servers.ts';
import { insertStatementNames } from './statements.ts';

interface Measured extends Peer {
  readonly what: string;
}

interface Sizes {
  readonly entries: number;
  readonly rounds: number;
}

export const benchInserts: Benchmark = {
  measures: 'statements, batch sizes and concurrency compared',
  takes: '6 minutes, with --quick 1 minute',
  run: runInsertsBenchmark,
};

/** Entries per batch and concurrent inserts. */
const settings = [
  ...[250, 500, 1000, 2000, 4000].map((size) => [size, concurrency] as const),
  ...[1, 2, 4, 6].map((inserts) => [batchSize, inserts] as const),
];

async function runInsertsBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? { entries: 20_000, rounds: 1 } : { entries: 100_000, rounds: 3 };
  const machine = describeMachine();
  await using servers = await openServers(print);
  const statements = await compareStatements(servers, sizes, print);
  const bySettings = await compareSettings(servers, sizes, print);
  const results = { machine, servers: servers.settings, ...sizes, statements, settings: bySettings };
  const written = section(conditions(machine, servers.settings), sizes, statements, bySettings);
  return { results, section: written, charts: {} };
}

/** Compares statements over rows in memory, with the processor's batch size and concurrency. */
async function compareStatements(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const variants = insertStatementNames.map((statement) => ({
    what: statement,
    measure: () => runRaw(servers, { ...backlogOf(entries), batchSize, concurrency, statement }),
  }));
  return await alternate(variants, rounds, print);
}

/** Compares batch sizes and concurrency of the processor itself. */
async function compareSettings(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const stream = `${servers.keyPrefix}settings`;
  await fillStream(servers.redis, stream, backlogOf(entries));
  const variants = settings.map(([size, inserts]) => ({
    what: `${formatNumber(size)} × ${inserts}`,
    measure: () =>
      drainWithProcessor(servers, stream, backlogOf(entries), {
        BATCH_SIZE: String(size),
        WRITE_BATCH_SIZE: String(size),
        WRITE_CONCURRENCY: String(inserts),
      }),
  }));
  return await alternate(variants, rounds, print);
}

function backlogOf(entries: number): BacklogOptions {
  return { entries, devices: 1000, repeatedPercent: 1 };
}

/** Measures all in each round, so that noise of the machine affects all; returns the median of each. */
async function alternate(
  variants: readonly { readonly what: string; readonly measure: () => Promise<Peer> }[],
  rounds: number,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const measured = variants.map(({ what, measure }) => ({ what, measure, peers: new Array<Peer>() }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { what, measure, peers } of measured) {
      const peer = await measure();
      peers.push(peer);
      print(`round ${round} of ${rounds}, ${what}: ${Math.round(peer.positionsPerS)} positions/s`);
    }
  }
  return Array.from(measured, ({ what, peers }) => ({ what, ...medianPeer(peers) }));
}

function section(
  conditionsTable: string,
  { entries, rounds }: Sizes,
  statements: readonly Measured[],
  bySettings: readonly Measured[],
): string {
  return `## Inserts

${conditionsTable}

The data behind [the decision](decisions.md#batches-are-inserted-as-arrays). ${formatNumber(entries)} positions each, medians of ${rounds} alternating round(s), CPU in µs
per position. The lowest sum gives the highest rate on an idle machine whose cores Postgres and Node share.

### Statement

Rows in memory, ${formatNumber(batchSize)} per batch, ${concurrency} concurrent inserts. Only the processor's statement reports which rows existed
already; the others only count them.

${table('statement', statements)}

### Batch size and concurrency

The processor over a backlog, by entries per batch × concurrent inserts; ${formatNumber(batchSize)} × ${concurrency} is the default:

${table('setting', bySettings)}`;
}

function table(what: string, measured: readonly Measured[]): string {
  return markdownTable(
    [what, 'positions/s', 'Node', 'Postgres', 'Redis', 'sum'],
    measured.map((peer) => [
      peer.what,
      peer.positionsPerS,
      peer.nodeUs,
      peer.postgresUs,
      peer.redisUs,
      peer.totalUs,
    ]),
  );
}
