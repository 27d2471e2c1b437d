import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { migrate } from '@app/migrate/migrate';
import { startServers } from '@app/test-kit/servers';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { startProgram, type Program } from '../program.ts';
import { fillStream } from './backlog.ts';
import { type DrainRate, measureDrain } from './drain.ts';
import { type Latency, measureLatency } from './latency.ts';
import { type StepCosts, stepCosts } from './step-costs.ts';

export interface ProcessorResults {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly os: string;
    readonly node: string;
    readonly redis: string;
    readonly postgres: string;
    readonly timescaledb: string;
    readonly fsync: string;
    readonly synchronousCommit: string;
  };
  readonly drain: {
    readonly entries: number;
    readonly devices: number;
    readonly conflictPercent: number;
    readonly positionsPerS: number;
    readonly rawRowsPerS: number;
    readonly naivePositionsPerS: number;
    readonly ratioToRaw: number;
    readonly ratioToNaive: number;
    readonly rounds: readonly { readonly raw: number; readonly processor: number; readonly naive: number }[];
  };
  readonly latency: Readonly<Record<string, Latency>>;
  readonly cost: {
    /** CPU of the whole process over the drain. */
    readonly cpuUsPerPosition: number;
    readonly peakRssBytes: number;
    readonly bySteps: readonly StepCosts[];
  };
}

const processorMain = new URL('../../../../services/processor/src/main.ts', import.meta.url);
const naiveMain = new URL('./naive-consumer.ts', import.meta.url);
const rawMain = new URL('./raw-limit.ts', import.meta.url);
const costsMain = new URL('./step-costs.ts', import.meta.url);
const group = 'processor';
const devices = 1000;
const repeatedPercent = 1;
// The processor's own defaults, for the raw loop has to have the same.
const batchSize = 1000;
const concurrency = 3;

/** Runs the whole suite; `say` hears what is under way. */
export async function benchProcessor(
  isQuick: boolean,
  say: (line: string) => void,
): Promise<ProcessorResults> {
  // Durable settings are the server's defaults; the commit stamps are what latency is read from.
  await using servers = await startServers({
    postgresSettings: { track_commit_timestamp: 'on' },
    print: say,
  });
  await using cleanup = new AsyncDisposableStack();
  const redis = cleanup.adopt(new Redis(servers.redisUrl), (client) => client.disconnect());
  const sql = cleanup.adopt(postgres(servers.postgresUrl, { max: 1, onnotice: () => undefined }), (client) =>
    client.end(),
  );
  await migrate(servers.postgresUrl);
  const setup = { redis, sql, redisUrl: servers.redisUrl, postgresUrl: servers.postgresUrl, say };
  const stream = `bench:${process.pid}:drain`;
  try {
    return {
      machine: await describeMachine(redis, sql),
      ...(await benchDrain(setup, stream, isQuick)),
      latency: await benchLatency(setup, isQuick),
    };
  } finally {
    const keys = await redis.keys(`bench:${process.pid}:*`);
    if (keys.length > 0) await redis.unlink(...keys);
  }
}

interface Setup {
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly say: (line: string) => void;
}

async function benchDrain(
  setup: Setup,
  stream: string,
  isQuick: boolean,
): Promise<Pick<ProcessorResults, 'drain' | 'cost'>> {
  const { redis, say, redisUrl, postgresUrl } = setup;
  const entries = isQuick ? 60_000 : 500_000;
  const naiveEntries = isQuick ? 10_000 : 50_000;
  const backlog = { entries, devices, repeatedPercent };
  say(`filling a stream with ${entries} entries`);
  await fillStream(redis, stream, backlog);
  const rounds = [];
  let cpuUsPerPosition = Infinity;
  let peakRssBytes = 0;
  // Peers take turns, so that a noisy minute of the machine meets all of them.
  for (let round = 1; round <= (isQuick ? 1 : 3); round += 1) {
    await prepare(setup, stream);
    const raw = await runToLine(
      rawMain,
      { RAW_LIMIT: JSON.stringify({ ...backlog, postgresUrl, batchSize, concurrency }) },
      ({ rowsPerS }) => asNumber(rowsPerS),
    );
    await prepare(setup, stream);
    const { rate, cpuUs, rssBytes } = await drainWithProcessor(setup, stream, entries);
    await prepare(setup, stream);
    await using naive = startProgram(naiveMain, {
      REDIS_URL: redisUrl,
      POSTGRES_URL: postgresUrl,
      STREAM: stream,
      GROUP: group,
    });
    const naiveRate = await measureDrain(redis, stream, group, naiveEntries, naive);
    rounds.push({ raw, processor: rate.positionsPerS, naive: naiveRate.positionsPerS });
    cpuUsPerPosition = Math.min(cpuUsPerPosition, cpuUs / entries);
    peakRssBytes = Math.max(peakRssBytes, rssBytes);
    say(
      `drain, round ${round}: raw ${Math.round(raw)}, processor ${Math.round(rate.positionsPerS)}, naive ${Math.round(naiveRate.positionsPerS)} positions/s`,
    );
  }
  const rawRowsPerS = median(rounds.map(({ raw }) => raw));
  const positionsPerS = median(rounds.map(({ processor }) => processor));
  const naivePositionsPerS = median(rounds.map(({ naive }) => naive));
  await redis.unlink(stream);
  return {
    drain: {
      entries,
      devices,
      conflictPercent: repeatedPercent,
      positionsPerS,
      rawRowsPerS,
      naivePositionsPerS,
      ratioToRaw: positionsPerS / rawRowsPerS,
      ratioToNaive: positionsPerS / naivePositionsPerS,
      rounds,
    },
    cost: { cpuUsPerPosition, peakRssBytes, bySteps: await benchSteps(setup, isQuick) },
  };
}

/** An empty table, a settled database, and the group at the start of the stream. */
async function prepare({ redis, sql }: Setup, stream: string): Promise<void> {
  await sql`truncate positions`;
  await sql`checkpoint`;
  await redis.xgroup('DESTROY', stream, group);
}

async function drainWithProcessor(
  setup: Setup,
  stream: string,
  entries: number,
): Promise<{ rate: DrainRate; cpuUs: number; rssBytes: number }> {
  await using processor = startProcessor(setup, stream);
  const metricsPort = await processor.line((line) => asNumber(line['metricsPort']));
  const rate = await measureDrain(setup.redis, stream, group, entries, processor);
  const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return {
    rate,
    cpuUs: metricValue(metrics, 'process_cpu_seconds_total') * 1e6,
    rssBytes: metricValue(metrics, 'process_resident_memory_bytes'),
  };
}

function startProcessor({ redisUrl, postgresUrl }: Setup, stream: string): Program {
  return startProgram(processorMain, {
    REDIS_URL: redisUrl,
    POSTGRES_URL: postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    REDIS_CONSUMER_GROUP: group,
    METRICS_PORT: '0',
  });
}

async function benchLatency(setup: Setup, isQuick: boolean): Promise<Readonly<Record<string, Latency>>> {
  const { redis, sql, redisUrl, say } = setup;
  const results: Record<string, Latency> = {};
  for (const ratePerS of [1000, 5000, 20_000]) {
    const stream = `bench:${process.pid}:latency:${ratePerS}`;
    await using processor = startProcessor(setup, stream);
    await processor.line(({ msg }) => (msg === 'reading stream' ? true : undefined));
    const generator = { redisUrl, stream, ratePerS, seconds: isQuick ? 3 : 15, devices };
    const latency = await measureLatency(generator, redis, sql, group);
    results[ratePerS] = latency;
    say(
      `latency at ${ratePerS}/s: p50 ${latency.p50Ms.toFixed(1)}, p99 ${latency.p99Ms.toFixed(1)}, p99.9 ${latency.p999Ms.toFixed(1)} ms`,
    );
    await redis.unlink(stream);
  }
  return results;
}

async function benchSteps(setup: Setup, isQuick: boolean): Promise<readonly StepCosts[]> {
  const { redisUrl, postgresUrl, redis, say } = setup;
  const shapes = [
    { devices: 1000 },
    ...(isQuick
      ? []
      : [
          { devices: 10 },
          { devices: 10_000 },
          { devices: 100_000 },
          { devices, attributes: 2 },
          { devices, attributes: 50 },
          { devices, attributes: 100 },
        ]),
  ];
  const results = [];
  for (const shape of shapes) {
    const stream = `bench:${process.pid}:costs`;
    const options = { redisUrl, postgresUrl, stream, entries: isQuick ? 20_000 : 100_000, ...shape };
    const costs = await runToLine(
      costsMain,
      { STEP_COSTS: JSON.stringify(options) },
      (line) => stepCosts.safeParse(line['costs']).data,
      ['--expose-gc'],
    );
    say(
      `cost with ${costs.devices} devices, ${costs.attributes} attributes: decode ${costs.decodeUs.toFixed(1)} µs, write ${costs.writeUs.toFixed(1)} µs`,
    );
    results.push(costs);
    await redis.unlink(stream);
  }
  return results;
}

async function runToLine<T>(
  main: URL,
  env: Readonly<Record<string, string>>,
  pick: (line: Readonly<Record<string, unknown>>) => T | undefined,
  nodeOptions: readonly string[] = [],
): Promise<T> {
  await using program = startProgram(main, env, nodeOptions);
  return await program.line(pick);
}

async function describeMachine(redis: Redis, sql: postgres.Sql): Promise<ProcessorResults['machine']> {
  const [settings] = await sql<
    { version: string; fsync: string; commit: string; timescaledb: string | null }[]
  >`
    select current_setting('server_version') as version, current_setting('fsync') as fsync,
           current_setting('synchronous_commit') as commit,
           (select extversion from pg_extension where extname = 'timescaledb') as timescaledb`;
  const redisVersion = /redis_version:(\S+)/u.exec(await redis.info('server'))?.[1];
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${osName()}, Linux ${release()}, ${arch()}`,
    node: process.version,
    redis: redisVersion ?? 'unknown',
    postgres: settings?.version ?? 'unknown',
    timescaledb: settings?.timescaledb ?? 'none',
    fsync: settings?.fsync ?? 'unknown',
    synchronousCommit: settings?.commit ?? 'unknown',
  };
}

function osName(): string {
  return /^PRETTY_NAME="(.*)"$/mu.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function metricValue(metrics: string, name: string): number {
  const line = metrics.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  if (line === undefined) throw new Error(`the processor has no metric ${name}`);
  return Number(line.slice(name.length));
}

/** The median: one round in a noisy minute does not decide. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
