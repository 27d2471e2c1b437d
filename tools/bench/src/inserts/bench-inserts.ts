import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine, type Machine, machineRows } from '../describe-machine.ts';
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
  measures: 'what the batch size, the concurrency and the statement of the insert are chosen by',
  takes: 'about 6 minutes, --quick one',
  run: runInsertsBenchmark,
};

const batchSizes = [250, 500, 1000, 2000, 4000];
const concurrencies = [1, 2, 3, 4, 6];

async function runInsertsBenchmark(isQuick: boolean, say: (line: string) => void): Promise<Outcome> {
  const sizes = isQuick ? { entries: 20_000, rounds: 1 } : { entries: 100_000, rounds: 3 };
  const machine = describeMachine();
  await using servers = await openServers(say);
  const statements = await compareStatements(servers, sizes, say);
  const settings = await compareSettings(servers, sizes, say);
  const results = { machine, servers: servers.settings, ...sizes, statements, settings };
  return { results, section: section(machine, sizes, statements, settings), charts: {} };
}

/** Rows in memory, the processor's batch size and concurrency, one statement after the other. */
async function compareStatements(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  say: (line: string) => void,
): Promise<readonly Measured[]> {
  const backlog = { entries, devices: 1000, repeatedPercent: 1 };
  return await inTurns(Object.keys(insertStatements).filter(isStatement), rounds, say, (statement) =>
    runRaw(servers, { ...backlog, batchSize, concurrency, statement }),
  );
}

/** The processor itself, with one setting after the other. */
async function compareSettings(
  servers: BenchServers,
  { entries, rounds }: Sizes,
  say: (line: string) => void,
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
  return await inTurns([...settings.keys()], rounds, say, (name) => {
    const { size = batchSize, inserts = concurrency } = settings.get(name) ?? {};
    return drainWithProcessor(servers, stream, backlog, {
      BATCH_SIZE: String(size),
      WRITE_BATCH_SIZE: String(size),
      WRITE_CONCURRENCY: String(inserts),
    });
  });
}

/** Each in turn, round after round, so that a noisy minute of the machine meets all; the medians of each. */
async function inTurns<Name extends string>(
  names: readonly Name[],
  rounds: number,
  say: (line: string) => void,
  measure: (name: Name) => Promise<Peer>,
): Promise<readonly Measured[]> {
  const measured = new Map<Name, Peer[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of names) {
      const peer = await measure(name);
      measured.get(name)?.push(peer);
      say(`round ${round} of ${rounds}, ${name}: ${Math.round(peer.positionsPerS)} positions/s`);
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
  return `## The insert

${markdownTable(['', ''], machineRows(machine))}

What [the decision](decisions/0003-rows-as-arrays.md) is made of. ${whole(entries)} positions each, medians of ${rounds} round(s) in turns.
CPU in µs for one position; the lowest sum is the highest rate on an idle machine where Postgres and Node share the cores.

### The statement

Rows in memory, ${whole(batchSize)} a batch, ${concurrency} inserts at a time. All but the processor's own only count the rows that were there
already, and do not say which:

${table('statement', statements)}

### Batch size and concurrency

The processor over a backlog, entries a batch × inserts at a time; ${whole(batchSize)} × ${concurrency} is the default:

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
