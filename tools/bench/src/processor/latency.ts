import { eventually } from '@app/test-kit/eventually';
import { Program } from '@app/test-kit/program';
import { quantile } from '../quantile.ts';
import type { BenchServers } from '../servers.ts';
import { untilAcknowledged } from './drain.ts';
import { type GeneratorOptions, sentAtAttribute } from './open-loop-generator.ts';
import { startProcessor } from './run-processor.ts';
import { watchCommits } from './watch-commits.ts';

/** From XADD to the commit, in ms, for those sent after the first second. */
export interface Latency {
  readonly ratePerS: number;
  /** Reached by the generator; less than requested on a busy machine. */
  readonly sentPerS: number;
  readonly records: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

const warmUpMs = 1000;

/** Latency at each rate, each with a new stream and processor. */
export async function benchLatency(
  servers: BenchServers,
  options: { readonly ratesPerS: readonly number[]; readonly seconds: number; readonly devices: number },
  print: (line: string) => void,
): Promise<readonly Latency[]> {
  const { redisUrl } = servers;
  const { ratesPerS, seconds, devices } = options;
  const results: Latency[] = [];
  for (const ratePerS of ratesPerS) {
    const stream = `${servers.keyPrefix}latency:${ratePerS}`;
    const latency = await measureLatency(servers, { redisUrl, stream, ratePerS, seconds, devices });
    results.push(latency);
    const [p50, p99, p999] = [latency.p50Ms, latency.p99Ms, latency.p999Ms].map((ms) => ms.toFixed(1));
    print(`latency at ${ratePerS}/s: p50 ${p50}, p99 ${p99}, p99.9 ${p999} ms`);
    await servers.redis.unlink(stream);
  }
  return results;
}

/** Sends at a fixed rate and observes each commit from another session; one clock, of this machine. */
async function measureLatency(servers: BenchServers, options: GeneratorOptions): Promise<Latency> {
  const { redis, redisUrl, postgresUrl, sql } = servers;
  const { stream, ratePerS } = options;
  await sql`truncate positions`;
  await using watch = await watchCommits(sql, 'positions');
  await using processor = await startProcessor(redisUrl, postgresUrl, stream);
  await processor.logged(/^reading stream$/u);
  await using generator = new Program({
    main: new URL('open-loop-generator.ts', import.meta.url),
    env: { GENERATOR: JSON.stringify(options) },
  });
  const sendingS = await generator.line(({ seconds }) => (typeof seconds === 'number' ? seconds : undefined));
  const total = ratePerS * options.seconds;
  await untilAcknowledged(redis, stream, processor, total);
  const rows = await sql<{ sentAtMs: number; transaction: string }[]>`
    select (attributes ->> ${sentAtAttribute})::float8 / 100 as "sentAtMs", xmin::text as transaction
    from positions order by 1`;
  if (rows.length !== total) throw new Error(`${total} records were sent, ${rows.length} are stored`);
  const commits = watch.committedAtMs;
  await eventually(() => rows.every(({ transaction }) => commits.has(transaction)));
  const fromMs = (rows[0]?.sentAtMs ?? 0) + warmUpMs;
  const latenciesMs = rows
    .filter(({ sentAtMs }) => sentAtMs >= fromMs)
    .map(({ transaction, sentAtMs }) => (commits.get(transaction) ?? Number.NaN) - sentAtMs);
  return {
    ratePerS,
    sentPerS: total / sendingS,
    records: latenciesMs.length,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    p999Ms: quantile(latenciesMs, 0.999),
  };
}
