import { peakRssBytes } from '../process-usage.ts';
import { Program } from '@app/test-kit/program';
import { runToLine } from '../run-to-line.ts';
import { median } from '../quantile.ts';
import { type BacklogOptions, fillStream, countRows } from './backlog.ts';
import { measureDrain } from './drain.ts';
import { rawLimit, type RawLimitOptions } from './raw-limit.ts';
import { batchSize, concurrency, group, startProcessor } from './run-processor.ts';
import type { BenchServers } from '../servers.ts';

/** CPU in µs per position. Postgres' is NaN if it runs on another machine. */
export interface CpuUs {
  readonly node: number;
  readonly postgres: number;
  readonly redis: number;
}

export interface Peer {
  readonly positionsPerS: number;
  readonly cpuUs: CpuUs;
}

export interface DrainRound {
  readonly raw: Peer;
  readonly processor: Peer & { readonly peakRssBytes: number };
  readonly naive: Peer;
}

export interface DrainResults {
  readonly entries: number;
  readonly devices: number;
  readonly conflictPercent: number;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly positionsPerS: number;
  /** Medians of the ratios of the rounds. */
  readonly ratioToRaw: number;
  readonly ratioToNaive: number;
  /** Total CPU per position of the raw limit divided by the processor's: the ratio to expect if no core is idle. */
  readonly cpuRatioToRaw: number;
  readonly rounds: readonly DrainRound[];
}

const rawMain = new URL('./raw-limit.ts', import.meta.url);
const naiveMain = new URL('./naive-consumer.ts', import.meta.url);

export async function benchDrain(
  servers: BenchServers,
  sizes: { readonly entries: number; readonly naiveEntries: number; readonly rounds: number },
  devices: number,
  print: (line: string) => void,
): Promise<DrainResults> {
  const { redis, keyPrefix } = servers;
  const stream = `${keyPrefix}drain`;
  const backlog = { entries: sizes.entries, devices, repeatedPercent: 1 };
  print(`filling a stream with ${backlog.entries} entries`);
  await fillStream(redis, stream, backlog);
  const rounds: DrainRound[] = [];
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
  await redis.unlink(stream);
  const medianOf = (pick: (round: DrainRound) => number): number => median(rounds.map(pick));
  return {
    entries: backlog.entries,
    devices,
    conflictPercent: backlog.repeatedPercent,
    batchSize,
    concurrency,
    positionsPerS: medianOf(({ processor }) => processor.positionsPerS),
    ratioToRaw: medianOf(({ raw, processor }) => processor.positionsPerS / raw.positionsPerS),
    ratioToNaive: medianOf(({ naive, processor }) => processor.positionsPerS / naive.positionsPerS),
    cpuRatioToRaw: medianOf(({ raw, processor }) => totalCpuUs(raw) / totalCpuUs(processor)),
    rounds,
  };
}

function totalCpuUs({ cpuUs: { node, postgres, redis } }: Peer): number {
  return node + postgres + redis;
}

/** Runs the raw limit. */
export async function runRaw(
  servers: BenchServers,
  options: Omit<RawLimitOptions, 'postgresUrl'>,
): Promise<Peer> {
  await prepare(servers);
  const before = await servers.cpuUs();
  const raw = await runToLine(
    { main: rawMain, env: { RAW_LIMIT: JSON.stringify({ ...options, postgresUrl: servers.postgresUrl }) } },
    (line) => rawLimit.safeParse(line['raw']).data,
  );
  const cpuUs = await serversCpuUs(servers, before, options.entries);
  await expectRows(servers, countRows(options));
  return { positionsPerS: raw.positionsPerS, cpuUs: { ...cpuUs, node: raw.cpuUsPerPosition } };
}

/** Runs the service over a backlog that is already in the stream, with its defaults except for `env`. */
export async function drainWithProcessor(
  servers: BenchServers,
  stream: string,
  backlog: BacklogOptions,
  env: Readonly<Record<string, string>> = {},
): Promise<DrainRound['processor']> {
  await prepare(servers, stream);
  const before = await servers.cpuUs();
  await using processor = await startProcessor(servers.redisUrl, servers.postgresUrl, stream, env);
  const drained = await measureDrain(servers.redis, stream, group, backlog.entries, processor);
  const cpuUs = await serversCpuUs(servers, before, backlog.entries);
  await expectRows(servers, countRows(backlog));
  return {
    positionsPerS: drained.positionsPerS,
    cpuUs: { ...cpuUs, node: drained.cpuUsPerPosition },
    peakRssBytes: peakRssBytes(processor.pid),
  };
}

async function drainNaively(servers: BenchServers, stream: string, entries: number): Promise<Peer> {
  await prepare(servers, stream);
  const before = await servers.cpuUs();
  await using naive = new Program({
    main: naiveMain,
    env: { REDIS_URL: servers.redisUrl, POSTGRES_URL: servers.postgresUrl, STREAM: stream, GROUP: group },
  });
  const drained = await measureDrain(servers.redis, stream, group, entries, naive);
  const cpuUs = await serversCpuUs(servers, before, entries);
  return { positionsPerS: drained.positionsPerS, cpuUs: { ...cpuUs, node: drained.cpuUsPerPosition } };
}

async function serversCpuUs(
  servers: BenchServers,
  before: Omit<CpuUs, 'node'>,
  positions: number,
): Promise<Omit<CpuUs, 'node'>> {
  const after = await servers.cpuUs();
  return {
    redis: (after.redis - before.redis) / positions,
    postgres: (after.postgres - before.postgres) / positions,
  };
}

/** The median of each number. */
export function medianPeer(peers: readonly Peer[]): Peer {
  return {
    positionsPerS: median(peers.map(({ positionsPerS }) => positionsPerS)),
    cpuUs: {
      node: median(peers.map(({ cpuUs }) => cpuUs.node)),
      postgres: median(peers.map(({ cpuUs }) => cpuUs.postgres)),
      redis: median(peers.map(({ cpuUs }) => cpuUs.redis)),
    },
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
