import { setTimeout as sleep } from 'node:timers/promises';
import type { SentCounts } from '@app/fleet-sim/tally';
import { readMetric } from '@app/test-kit/read-metric';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import type { Latencies } from './latencies.ts';
import { readProcessorMetrics } from './progress.ts';
import type { System } from './system.ts';

/** Records counted in Postgres and Redis. */
export interface StoredCounts {
  /** Rows in `positions` and `positions_past_limit`. */
  readonly stored: number;
  /** Records whose row existed already, counted by the processor. */
  readonly duplicates: number;
  readonly deadLetters: number;
  /** Delivered to the processor and not acknowledged. */
  readonly pending: number;
}

export interface Outcome {
  readonly sent: SentCounts;
  readonly counted: StoredCounts;
  readonly received: number;
  readonly latencies: Latencies;
}

/** Counts once every record is stored or dead-lettered and acknowledged, or after the timeout. */
export async function countOutcome(
  system: System,
  sent: SentCounts,
  timeoutMs: number,
): Promise<StoredCounts> {
  const redis = new Redis(system.redisUrl, { maxRetriesPerRequest: 1 });
  const sql = postgres(system.databaseUrl, { max: 1 });
  try {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const counted = await count(system, redis, sql);
      const { stored, duplicates, deadLetters, pending } = counted;
      const hasSettled = pending === 0 && stored + duplicates + deadLetters === sent.records;
      if (hasSettled || Date.now() > deadlineMs) return counted;
      await sleep(50);
    }
  } finally {
    redis.disconnect();
    await sql.end();
  }
}

async function count(system: System, redis: Redis, sql: postgres.Sql): Promise<StoredCounts> {
  const [metrics, rows, deadLetters, groups] = await Promise.all([
    readProcessorMetrics(system),
    sql<{ stored: number }[]>`
      select (select count(*) from positions)::int + (select count(*) from positions_past_limit)::int as stored`,
    redis.xlen(`${system.stream}:dlq`),
    redis.xinfo('GROUPS', system.stream).catch(() => []),
  ]);
  return {
    stored: rows[0]?.stored ?? 0,
    duplicates: readMetric(metrics, 'processor_position_writes_total', { status: 'duplicate' }) ?? 0,
    deadLetters,
    pending: Array.isArray(groups) ? groups.map(pendingOf).reduce((sum, pending) => sum + pending, 0) : 0,
  };
}

/** XINFO GROUPS answers each group as a flat list: name, value, name, value, … */
function pendingOf(group: unknown): number {
  return Array.isArray(group) ? Number(group[group.indexOf('pending') + 1]) : 0;
}

/** One message per problem; empty if sent and stored agree to the last fix. */
export function findProblems({ sent, counted, received, latencies }: Outcome): readonly string[] {
  const { stored, duplicates, deadLetters, pending } = counted;
  const problems: string[] = [];
  if (stored === 0) problems.push('no fix was stored');
  if (received === 0) problems.push('no position was received');
  if (stored !== sent.distinct) problems.push(`${sent.distinct} fixes were sent, ${stored} are stored`);
  if (deadLetters !== sent.bad + sent.conflicting) {
    problems.push(`${sent.bad + sent.conflicting} records should be dead letters, ${deadLetters} are`);
  }
  if (stored + duplicates + deadLetters !== sent.records) {
    problems.push(
      `${sent.records} records were sent, but ${stored} stored + ${duplicates} duplicates + ${deadLetters} dead letters are ${stored + duplicates + deadLetters}`,
    );
  }
  if (pending > 0) problems.push(`${pending} records are still pending`);
  if (received > 0 && latencies.count === 0) problems.push('no position of a fresh fix was received');
  return problems;
}

/** The last line of the demo. */
export function summarise({ sent, counted, received, latencies }: Outcome): string {
  const ms = (share: number): string => `${latencies.percentileMs(share) ?? '–'} ms`;
  return [
    `sent ${sent.records} records (${sent.distinct} fixes)`,
    `stored ${counted.stored}`,
    `duplicates ${counted.duplicates}`,
    `dead letters ${counted.deadLetters}`,
    `received ${received}`,
    `fix to client p50 ${ms(0.5)} p99 ${ms(0.99)}`,
  ].join(', ');
}
