import { withDeadline } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import { delay } from '@app/runtime/retry';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';

/** Clocks that differ by less agree: well below FUTURE_FLAG_MS, and above what a slow answer can feign. */
export const clockToleranceMs = 30_000;
const probeDeadlineMs = 2000;

const clocks = ['processor', 'redis', 'postgres'] as const;
type Clock = (typeof clocks)[number];

export interface ClockMonitorOptions {
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly intervalMs: number;
  readonly nowMs: () => number;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/**
 * Compares the clocks of this process, Redis and Postgres, and corrects the arrival times of entries where Redis' clock is
 * the one that is wrong. What two clocks say is the time.
 */
export class ClockMonitor implements AsyncDisposable {
  readonly #options: ClockMonitorOptions;
  readonly #disposed = new AbortController();
  readonly #wrong = new Set<Clock>();
  #ended: Promise<void> | undefined;
  /** What to add to this process's clock; undefined if no two clocks agree. */
  #offsetMs: number | undefined;
  /** By how much Redis' clock is behind; 0 if it agrees, is ahead or is not known. */
  #redisBehindMs = 0;

  constructor(options: ClockMonitorOptions) {
    this.#options = options;
  }

  /** Resolves after the first measurement. */
  async start(): Promise<void> {
    await this.#measure();
    this.#ended = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    await this.#ended;
  }

  /**
   * When an entry arrived: by its id, which has Redis' clock, unless that is wrong now. An id ahead of the time arrived
   * before now. While Redis is behind, its ids are moved by as much, and not beyond now: entries that were added before it
   * was wrong then count as later than they are, so that in doubt a fix is stored without a flag.
   */
  arrivedAtMs(entryId: string): number {
    const idMs = entryArrivedAtMs(entryId);
    if (this.#offsetMs === undefined) return idMs;
    const nowMs = this.#options.nowMs() + this.#offsetMs;
    if (idMs > nowMs + clockToleranceMs) return nowMs;
    return this.#redisBehindMs === 0 ? idMs : Math.max(idMs, Math.min(idMs + this.#redisBehindMs, nowMs));
  }

  async #run(): Promise<void> {
    const stop = this.#disposed.signal;
    while (!stop.aborted) {
      await delay(this.#options.intervalMs, stop).catch(() => undefined);
      if (!stop.aborted) await this.#measure();
    }
  }

  async #measure(): Promise<void> {
    const { redis, sql } = this.#options;
    const [redisMs, postgresMs] = await Promise.all([
      this.#offsetOf(async () => {
        const [seconds, microseconds] = await redis.time();
        return Number(seconds) * 1000 + Number(microseconds) / 1000;
      }),
      this.#offsetOf(async () => {
        // Not a template, whose prepared statement a pooler may lose.
        const [row] = await sql.unsafe<{ ms: number }[]>(
          'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
        );
        return row?.ms ?? Number.NaN;
      }),
    ]);
    const offsets = { processor: 0, redis: redisMs, postgres: postgresMs };
    const known = Object.values(offsets).filter((offset) => offset !== undefined);
    const majority = majorityOf(known);
    // A clock that cannot be asked proves nothing: batches wait for Postgres as they were decoded.
    if (majority !== undefined || known.length === clocks.length) this.#offsetMs = majority;
    if (redisMs !== undefined && (majority !== undefined || known.length === clocks.length)) {
      const behindMs = (majority ?? redisMs) - redisMs;
      this.#redisBehindMs = behindMs > clockToleranceMs ? behindMs : 0;
    }
    for (const clock of clocks) this.#report(clock, offsets[clock]);
  }

  /** How far a clock is ahead of this process's; undefined if it cannot be asked. */
  async #offsetOf(read: () => Promise<number>): Promise<number | undefined> {
    const { nowMs } = this.#options;
    const beforeMs = nowMs();
    try {
      const atMs = await withDeadline(read(), probeDeadlineMs, 'reading a clock');
      return atMs - (beforeMs + nowMs()) / 2;
    } catch {
      // Whoever needs Redis or Postgres reports that it does not answer.
      return undefined;
    }
  }

  #report(clock: Clock, offsetMs: number | undefined): void {
    const { metrics, log } = this.#options;
    // Without a majority relative to this process: that they differ still shows.
    const skewMs = offsetMs === undefined ? Number.NaN : offsetMs - (this.#offsetMs ?? 0);
    metrics.clockSkew.set({ clock }, skewMs / 1000);
    if (Number.isNaN(skewMs)) return;
    const isWrong = Math.abs(skewMs) > clockToleranceMs;
    if (isWrong && !this.#wrong.has(clock)) {
      this.#wrong.add(clock);
      const hasMajority = this.#offsetMs !== undefined;
      log.error({ clock, skewSeconds: Math.round(skewMs / 1000), hasMajority }, 'a clock is wrong');
    } else if (!isWrong && this.#wrong.delete(clock)) {
      log.info({ clock }, 'the clock is right again');
    }
  }
}

/** The median, if another one agrees with it. */
function majorityOf(offsets: readonly number[]): number | undefined {
  const sorted = offsets.toSorted((a, b) => a - b);
  const median = sorted[(sorted.length - 1) >> 1];
  if (median === undefined) return undefined;
  const agreeing = sorted.filter((offset) => Math.abs(offset - median) <= clockToleranceMs);
  return agreeing.length >= 2 ? median : undefined;
}
