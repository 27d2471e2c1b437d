import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine, type Machine, machineRow } from '../describe-machine.ts';
import { fixed, whole } from '../format-number.ts';
import { markdownTable } from '../markdown-table.ts';
import { fillStream } from '../processor/backlog.ts';
import { drainWithProcessor, medianPeer, type Peer, runRaw } from '../processor/bench-drain.ts';
import { batchSize, concurrency } from '../processor/run-processor.ts';
import { type BenchServers, openServers } from '../servers.ts';
import { insertStatements, type InsertStatementName } from './statements.ts';

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

const batchSizes = [250, 500, 1000, 2000, 4000];
const concurrencies = [1, 2, 3, 4, 6];

async function runInsertsBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? { entries: 20_000, rounds: 1 } : { entries: 100_000, rounds: 3 };
  const machine = describeMachine();
  await using servers = await openServers(print);
  const statements = await compareStatements(servers, sizes, print);
  const settings = await compareSettings(servers, sizes, print);
  const results = { machine, servers: servers.settings, ...sizes, statements, settings };
  return { results, section: section(machine, sizes, statements, settings), charts: {} };
}

/** Compares statements over rows in memory, with the processor's batch size and concurrency. */
async function compareStatements(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const backlog = { entries, devices: 1000, repeatedPercent: 1 };
  return await alternate(Object.keys(insertStatements).filter(isStatement), rounds, print, (statement) =>
    runRaw(servers, { ...backlog, batchSize, concurrency, statement }),
  );
}

/** Compares batch sizes and concurrency of the processor itself. */
async function compareSettings(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const stream = `${servers.keyPrefix}settings`;
  const backlog = { entries, devices: 1000, repeatedPercent: 1 };
  await fillStream(servers.redis, stream, backlog);
  const settings = new Map(
    [
      ...batchSizes.map((size) => ({ size, inserts: concurrency })),
      ...concurrencies
        .filter((inserts) => inserts !== concurrency)
        .map((inserts) => ({ size: batchSize, inserts })),
    ].map((setting) => [`${whole(setting.size)} × ${setting.inserts}`, setting]),
  );
  return await alternate([...settings.keys()], rounds, print, (name) => {
    const { size = batchSize, inserts = concurrency } = settings.get(name) ?? {};
    return drainWithProcessor(servers, stream, backlog, {
      BATCH_SIZE: String(size),
      WRITE_BATCH_SIZE: String(size),
      WRITE_CONCURRENCY: String(inserts),
    });
  });
}

/** Measures all in each round, so that noise of the machine affects all; returns the median of each. */
async function alternate<Name extends string>(
  names: readonly Name[],
  rounds: number,
  print: (line: string) => void,
  measure: (name: Name) => Promise<Peer>,
): Promise<readonly Measured[]> {
  const measured = new Map<Name, Peer[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of names) {
      const peer = await measure(name);
      measured.get(name)?.push(peer);
      print(`round ${round} of ${rounds}, ${name}: ${Math.round(peer.positionsPerS)} positions/s`);
    }
  }
  return Array.from(measured, ([what, peers]) => ({ what, ...medianPeer(peers) }));
}

function isStatement(name: string): name is InsertStatementName {
  return Object.hasOwn(insertStatements, name);
}

function section(
  machine: Machine,
  { entries, rounds }: Sizes,
  statements: readonly Measured[],
  settings: readonly Measured[],
): string {
  return `## Inserts

${markdownTable(['', ''], [machineRow(machine)])}

The data behind [the decision](decisions.md#batches-are-inserted-as-arrays). ${whole(entries)} positions each, medians of ${rounds} alternating round(s), CPU in µs
per position. The lowest sum gives the highest rate on an idle machine whose cores Postgres and Node share.

### Statement

Rows in memory, ${whole(batchSize)} per batch, ${concurrency} concurrent inserts. Only the processor's statement reports which rows existed
already; the others only count them.

${table('statement', statements)}

### Batch size and concurrency

The processor over a backlog, by entries per batch × concurrent inserts; ${whole(batchSize)} × ${concurrency} is the default:

${table('setting', settings)}`;
}

function table(what: string, measured: readonly Measured[]): string {
  return markdownTable(
    [what, 'positions/s', 'Node', 'Postgres', 'Redis', 'sum'],
    measured.map(({ what: name, positionsPerS, cpuUs: { node, postgres, redis } }) => [
      name,
      whole(positionsPerS),
      fixed(node, 1),
      fixed(postgres, 1),
      fixed(redis, 1),
      fixed(node + postgres + redis, 1),
    ]),
    [1, 2, 3, 4, 5],
  );
}
