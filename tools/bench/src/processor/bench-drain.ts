import { Program } from '@app/test-kit/program';
import { median } from '../quantile.ts';
import type { BenchServers } from '../servers.ts';
import { type BacklogOptions, countRows, fillStream } from './backlog.ts';
import { type Drained, measureDrain } from './drain.ts';
import { rawLimit, type RawLimitOptions } from './raw-limit.ts';
import { batchSize, concurrency, group, startProcessor } from './run-processor.ts';

/** A rate with the CPU per position, in µs. Postgres' is NaN if it runs on another machine. */
export interface Peer extends Drained {
  readonly postgresUs: number;
  readonly redisUs: number;
  readonly totalUs: number;
}

export interface DrainResults {
  readonly entries: number;
  readonly devices: number;
  readonly repeatedPercent: number;
  readonly rounds: number;
  /** Medians of the rounds. */
  readonly raw: Peer;
  readonly processor: Peer;
  readonly naive: Peer;
  /** Medians of the ratios of the rounds. */
  readonly ratioToRaw: number;
  readonly ratioToNaive: number;
  /** Total CPU per position of the raw limit divided by the processor's: the ratio to expect if no core is idle. */
  readonly cpuRatioToRaw: number;
}

export async function benchDrain(
  servers: BenchServers,
  sizes: { readonly entries: number; readonly naiveEntries: number; readonly rounds: number },
  devices: number,
  print: (line: string) => void,
): Promise<DrainResults> {
  const stream = `${servers.keyPrefix}drain`;
  const backlog = { entries: sizes.entries, devices, repeatedPercent: 1 };
  print(`filling a stream with ${backlog.entries} entries`);
  await fillStream(servers.redis, stream, backlog);
  const rounds = [];
  // All peers in each round, so that noise of the machine affects all.
  for (let number = 1; number <= sizes.rounds; number += 1) {
    const raw = await runRaw(servers, { ...backlog, batchSize, concurrency });
    const processor = await drainWithProcessor(servers, stream, backlog);
    const naive = await drainNaively(servers, stream, sizes.naiveEntries);
    rounds.push({ raw, processor, naive });
    const rates = [raw, processor, naive].map(({ positionsPerS }) => Math.round(positionsPerS));
    print(
      `drain, round ${number} of ${sizes.rounds}: raw ${rates[0]}, processor ${rates[1]}, naive ${rates[2]} positions/s`,
    );
  }
  await servers.redis.unlink(stream);
  return {
    ...backlog,
    rounds: sizes.rounds,
    raw: medianPeer(rounds.map(({ raw }) => raw)),
    processor: medianPeer(rounds.map(({ processor }) => processor)),
    naive: medianPeer(rounds.map(({ naive }) => naive)),
    ratioToRaw: median(rounds.map(({ raw, processor }) => processor.positionsPerS / raw.positionsPerS)),
    ratioToNaive: median(rounds.map(({ naive, processor }) => processor.positionsPerS / naive.positionsPerS)),
    cpuRatioToRaw: median(rounds.map(({ raw, processor }) => raw.totalUs / processor.totalUs)),
  };
}

/** Runs the raw limit. */
export async function runRaw(
  servers: BenchServers,
  options: Omit<RawLimitOptions, 'postgresUrl'>,
): Promise<Peer> {
  await prepare(servers);
  const peer = await withServersCpu(servers, options.entries, async () => {
    const env = { RAW_LIMIT: JSON.stringify({ ...options, postgresUrl: servers.postgresUrl }) };
    await using program = new Program({ main: new URL('./raw-limit.ts', import.meta.url), env });
    return await program.line((line) => rawLimit.safeParse(line['raw']).data);
  });
  await expectRows(servers, countRows(options));
  return peer;
}

/** Runs the service over a backlog that is already in the stream, with its defaults except for `env`. */
export async function drainWithProcessor(
  servers: BenchServers,
  stream: string,
  backlog: BacklogOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  await prepare(servers, stream);
  const peer = await withServersCpu(servers, backlog.entries, async () => {
    await using processor = await startProcessor(servers.redisUrl, servers.postgresUrl, stream, env);
    return await measureDrain(servers.redis, stream, backlog.entries, processor);
  });
  await expectRows(servers, countRows(backlog));
  return peer;
}

async function drainNaively(servers: BenchServers, stream: string, entries: number): Promise<Peer> {
  await prepare(servers, stream);
  return await withServersCpu(servers, entries, async () => {
    await using naive = new Program({
      main: new URL('./naive-consumer.ts', import.meta.url),
      env: { REDIS_URL: servers.redisUrl, POSTGRES_URL: servers.postgresUrl, STREAM: stream, GROUP: group },
    });
    return await measureDrain(servers.redis, stream, entries, naive);
  });
}

async function withServersCpu(
  servers: BenchServers,
  positions: number,
  drain: () => Promise<Drained>,
): Promise<Peer> {
  const before = await servers.cpuUs();
  const drained = await drain();
  const after = await servers.cpuUs();
  const redisUs = (after.redis - before.redis) / positions;
  const postgresUs = (after.postgres - before.postgres) / positions;
  return { ...drained, redisUs, postgresUs, totalUs: drained.nodeUs + redisUs + postgresUs };
}

/** The median of each number. */
export function medianPeer(peers: readonly Peer[]): Peer {
  const of = (pick: (peer: Peer) => number): number => median(peers.map(pick));
  return {
    positionsPerS: of((peer) => peer.positionsPerS),
    nodeUs: of((peer) => peer.nodeUs),
    postgresUs: of((peer) => peer.postgresUs),
    redisUs: of((peer) => peer.redisUs),
    totalUs: of((peer) => peer.totalUs),
    peakRssBytes: of((peer) => peer.peakRssBytes),
  };
}

/** Leaves an empty table, a fresh checkpoint and no group on the stream. */
async function prepare({ redis, sql }: BenchServers, stream?: string): Promise<void> {
  await sql`truncate positions`;
  await sql`checkpoint`;
  if (stream !== undefined) await redis.xgroup('DESTROY', stream, group);
}

/** The rate of a consumer that did not store everything means nothing. */
async function expectRows({ sql }: BenchServers, rows: number): Promise<void> {
  const [stored] = await sql<{ rows: number }[]>`select count(*)::int as rows from positions`;
  if (stored?.rows !== rows) throw new Error(`${stored?.rows} rows are stored instead of ${rows}`);
}
