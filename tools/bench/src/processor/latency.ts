import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import { setTimeout as sleep } from 'node:timers/promises';
import { startProgram } from '../program.ts';
import { type GeneratorOptions, sentAtAttribute } from './open-loop-generator.ts';

/** From XADD to the commit, in ms. */
export interface Latency {
  readonly ratePerS: number;
  readonly records: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

const warmUpMs = 1000;
const settleLimitMs = 30_000;

/**
 * Sends at a fixed rate and reads from Postgres when each row's transaction was committed
 * (`track_commit_timestamp`): both stamps are of this machine's clock. The first second is left out.
 */
export async function measureLatency(
  options: GeneratorOptions,
  redis: Redis,
  sql: postgres.Sql,
  group: string,
): Promise<Latency> {
  await sql`truncate positions`;
  await using generator = startProgram(new URL('./open-loop-generator.ts', import.meta.url), {
    GENERATOR: JSON.stringify(options),
  });
  await generator.line(({ seconds }) => seconds);
  await untilAcknowledged(redis, options.stream, group);
  const total = options.ratePerS * options.seconds;
  const [row] = await sql<{ records: number; p50: number; p99: number; p999: number }[]>`
    with stamps as (
      select (attributes ->> ${sentAtAttribute})::float8 as sent_ms,
             extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as committed_ms
      from positions
    ), latencies as (
      select committed_ms - sent_ms as ms from stamps
      where sent_ms >= (select min(sent_ms) from stamps) + ${warmUpMs}::float8
    )
    select count(*)::int as records, percentile_cont(0.5) within group (order by ms) as p50,
           percentile_cont(0.99) within group (order by ms) as p99,
           percentile_cont(0.999) within group (order by ms) as p999
    from latencies`;
  const [stored] = await sql<{ count: number }[]>`select count(*)::int from positions`;
  if (row === undefined || stored?.count !== total) {
    throw new Error(
      `${total} records were sent and ${stored?.count} are stored: nothing can be said of their latency`,
    );
  }
  return {
    ratePerS: options.ratePerS,
    records: row.records,
    p50Ms: row.p50,
    p99Ms: row.p99,
    p999Ms: row.p999,
  };
}

async function untilAcknowledged(redis: Redis, stream: string, group: string): Promise<void> {
  const giveUpAtMs = performance.now() + settleLimitMs;
  for (;;) {
    const pending: unknown = await redis.xpending(stream, group);
    const groups = JSON.stringify(await redis.xinfo('GROUPS', stream));
    if (Array.isArray(pending) && pending[0] === 0 && groups.includes('"lag",0')) return;
    if (performance.now() > giveUpAtMs)
      throw new Error('the processor did not catch up after the generator ended');
    await sleep(20);
  }
}
