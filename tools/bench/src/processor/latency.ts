import type { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '@app/test-kit/program';
import { quantile } from '../quantile.ts';
import { CommitWatch } from './commit-watch.ts';
import { readGroupProgress } from './drain.ts';
import { type GeneratorOptions, sentAtAttribute } from './open-loop-generator.ts';
import { group, startProcessor } from './run-processor.ts';
import type { BenchServers } from '../servers.ts';

/** From XADD to the commit, in ms, for those sent after the first second. */
export interface Latency {
  readonly ratePerS: number;
  /** Reached by the generator; less than asked for on a busy machine. */
  readonly sentPerS: number;
  readonly records: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** 99 % of the commits were observed at most this late; included in the latencies. */
  readonly seenLateMs: number;
}

const warmUpMs = 1000;
const stallTimeoutMs = 60_000;

/** Latency at each rate, each with a new stream and processor. */
export async function benchLatency(
  servers: BenchServers,
  options: { readonly ratesPerS: readonly number[]; readonly seconds: number; readonly devices: number },
  print: (line: string) => void,
): Promise<Readonly<Record<string, Latency>>> {
  const { redis, redisUrl, postgresUrl, keyPrefix } = servers;
  const { ratesPerS, seconds, devices } = options;
  const results: Record<string, Latency> = {};
  for (const ratePerS of ratesPerS) {
    const stream = `${keyPrefix}latency:${ratePerS}`;
    await using processor = await startProcessor(redisUrl, postgresUrl, stream);
    await processor.logged(/^reading stream$/u);
    const latency = await measureLatency(servers, { redisUrl, stream, ratePerS, seconds, devices });
    results[ratePerS] = latency;
    const [p50, p99, p999] = [latency.p50Ms, latency.p99Ms, latency.p999Ms].map((ms) => ms.toFixed(1));
    print(`latency at ${ratePerS}/s: p50 ${p50}, p99 ${p99}, p99.9 ${p999} ms`);
    await redis.unlink(stream);
  }
  return results;
}

/** Sends at a fixed rate and observes each commit from another session; one clock, of this machine. */
async function measureLatency({ redis, sql }: BenchServers, options: GeneratorOptions): Promise<Latency> {
  await sql`truncate positions`;
  const watch = new CommitWatch(sql);
  await using generator = new Program({
    main: new URL('open-loop-generator.ts', import.meta.url),
    env: { GENERATOR: JSON.stringify(options) },
  });
  const sendingS = await generator.line(({ seconds }) => (typeof seconds === 'number' ? seconds : undefined));
  const total = options.ratePerS * options.seconds;
  await untilAcknowledged(redis, options.stream, total);
  const commitOf = await watch.stop();
  const rows = await sql<{ sentAtMs: number; transaction: number }[]>`
    select (attributes ->> ${sentAtAttribute})::float8 / 100 as "sentAtMs",
           xmin::text::float8 as transaction
    from positions order by 1`;
  if (rows.length !== total) {
    throw new Error(`${total} records were sent, ${rows.length} are stored`);
  }
  const fromMs = (rows[0]?.sentAtMs ?? 0) + warmUpMs;
  const measured = rows.filter(({ sentAtMs }) => sentAtMs >= fromMs);
  const latenciesMs = sorted(measured.map((row) => commitOf(row.transaction).seenAtMs - row.sentAtMs));
  const lateMs = sorted(
    measured.map(({ transaction }) => {
      const { notBeforeMs, seenAtMs } = commitOf(transaction);
      return seenAtMs - notBeforeMs;
    }),
  );
  return {
    ratePerS: options.ratePerS,
    sentPerS: total / sendingS,
    records: latenciesMs.length,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    p999Ms: quantile(latenciesMs, 0.999),
    seenLateMs: quantile(lateMs, 0.99),
  };
}

function sorted(values: readonly number[]): readonly number[] {
  return values.toSorted((a, b) => a - b);
}

/** Gives up only if the processor makes no progress at all. */
async function untilAcknowledged(redis: Redis, stream: string, entries: number): Promise<void> {
  let acknowledged = -1;
  let movedAtMs = performance.now();
  while (acknowledged < entries) {
    const { read, pending } = await readGroupProgress(redis, stream, group);
    if (read - pending > acknowledged) {
      acknowledged = read - pending;
      movedAtMs = performance.now();
    } else if (performance.now() - movedAtMs > stallTimeoutMs) {
      throw new Error(`the processor is stalled at ${acknowledged} of ${entries} entries`);
    }
    await sleep(20);
  }
}
