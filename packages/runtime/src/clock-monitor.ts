import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { delay } from './retry.ts';

/** Clocks that differ by less agree: well below FUTURE_FLAG_MS, and above what a slow answer can feign. */
const toleranceMs = 30_000;
const probeDeadlineMs = 2000;
const defaultIntervalMs = 10_000;

interface ClockMonitorOptions {
  /** The name of this process's clock. */
  readonly service: string;
  readonly redis: Redis;
  /** Runs a statement on Postgres. Must settle; may take longer than a measurement waits. */
  readonly runSql: <T>(query: (sql: postgres.Sql) => PromiseLike<T>) => Promise<T>;
  readonly intervalMs?: number;
  readonly nowMs: () => number;
  /** Called for each clock after each measurement; NaN if the clock cannot be asked. */
  readonly onSkew: (clock: string, skewSeconds: number) => void;
  readonly log: Logger;
}

/**
 * Compares the clocks of this process, Redis and Postgres, and corrects times by Redis' clock, such as those in entry ids,
 * while it is the one that is wrong. What two clocks say is the time.
 */
export class ClockMonitor implements AsyncDisposable {
  readonly #options: ClockMonitorOptions;
  readonly #disposed = new AbortController();
  readonly #wrong = new Set<string>();
  /** Clocks that have not answered yet. Asked again, they would get a queue of questions throughout an outage. */
  readonly #asked = new Set<string>();
  #isTimeRefused = false;
  #ended: Promise<void> | undefined;
  #measuring = Promise.resolve();
  #nextMeasurement: Promise<void> | undefined;
  /** What to add to this process's clock; undefined if no two clocks agree. */
  #offsetMs: number | undefined;
  /** What to add to the monotonic clock. */
  #monotonicOffsetMs = 0;
  /** By how much Redis' clock is behind; 0 if it agrees, is ahead or is not known. */
  #redisBehindMs = 0;

  constructor(options: ClockMonitorOptions) {
    this.#options = options;
  }

  /** Resolves after the first measurement. */
  async start(): Promise<void> {
    await this.measure();
    this.#ended = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    await this.#ended;
  }

  /** Resolves after a measurement that began after the call; calls that wait for one that is under way share the next. */
  measure(): Promise<void> {
    this.#nextMeasurement ??= this.#measuring.then(() => {
      this.#nextMeasurement = undefined;
      this.#measuring = this.#measureNow();
      return this.#measuring;
    });
    return this.#nextMeasurement;
  }

  /** The time of this process's clock, unless the other two agree that it is wrong. */
  nowMs(): number {
    const ownMs = this.#options.nowMs();
    const agreedMs = this.#agreedMs() ?? ownMs;
    return Math.abs(agreedMs - ownMs) > toleranceMs ? agreedMs : ownMs;
  }

  /**
   * When an entry arrived: by its id, which has Redis' clock, unless that is wrong now. An id ahead of the time arrived
   * before now. While Redis is behind, its ids are moved by as much, and not beyond now: entries that were added before it
   * was wrong then count as later than they are, so that in doubt a fix counts as good.
   *
   * @param idMs the time in the id.
   */
  arrivedAtMs(idMs: number): number {
    const nowMs = this.#agreedMs();
    if (nowMs === undefined) return idMs;
    if (idMs > nowMs + toleranceMs) return nowMs;
    return this.#redisBehindMs === 0 ? idMs : Math.max(idMs, Math.min(idMs + this.#redisBehindMs, nowMs));
  }

  /** The age of an entry by the time in its id. NaN if that is ahead of Redis' clock, so that it says nothing of the age. */
  ageMs(idMs: number): number {
    const redisMs = this.nowMs() - this.#redisBehindMs;
    return idMs > redisMs + toleranceMs ? Number.NaN : Math.max(0, redisMs - idMs);
  }

  /**
   * The time on which two clocks agree. The later of two, since both are wrong in one case until the next measurement: this
   * process's clock once it was set, which must flag no fix, and the monotonic clock once a virtual machine was suspended.
   */
  #agreedMs(): number | undefined {
    if (this.#offsetMs === undefined) return undefined;
    const ownMs = this.#options.nowMs() + this.#offsetMs;
    // Whole, as times in messages are.
    return Math.round(Math.max(ownMs, performance.now() + this.#monotonicOffsetMs));
  }

  async #run(): Promise<void> {
    const { redis, intervalMs = defaultIntervalMs } = this.#options;
    const stop = this.#disposed.signal;
    while (!stop.aborted) {
      const connected = new AbortController();
      // Redis may be back with another clock; a question from before may still wait.
      const askAgain = (): void => {
        this.#asked.delete('redis');
        connected.abort();
      };
      redis.once('ready', askAgain);
      await delay(intervalMs, AbortSignal.any([stop, connected.signal])).catch(() => undefined);
      redis.off('ready', askAgain);
      if (!stop.aborted) await this.measure();
    }
  }

  async #measureNow(): Promise<void> {
    const { service, redis, runSql } = this.#options;
    const [redisMs, postgresMs] = await Promise.all([
      this.#offsetOf('redis', async () => {
        const [seconds, microseconds] = await redis.time();
        return Number(seconds) * 1000 + Number(microseconds) / 1000;
      }),
      this.#offsetOf('postgres', async () => {
        // Not a template, whose prepared statement a pooler may lose.
        const statement = 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms';
        const [row] = await runSql((sql) => sql.unsafe<{ ms: number }[]>(statement));
        return row?.ms ?? Number.NaN;
      }),
    ]);
    const offsets = [
      [service, 0],
      ['redis', redisMs],
      ['postgres', postgresMs],
    ] as const;
    const known = offsets.flatMap(([, offsetMs]) => offsetMs ?? []);
    const majority = majorityOf(known);
    // A clock that cannot be asked proves nothing: batches wait for Postgres as they were decoded.
    if (majority !== undefined || known.length === offsets.length) this.#offsetMs = majority;
    if (majority !== undefined)
      this.#monotonicOffsetMs = this.#options.nowMs() + majority - performance.now();
    if (redisMs !== undefined && (majority !== undefined || known.length === offsets.length)) {
      const behindMs = (majority ?? redisMs) - redisMs;
      this.#redisBehindMs = behindMs > toleranceMs ? behindMs : 0;
    }
    for (const [clock, offsetMs] of offsets) this.#report(clock, offsetMs);
  }

  /** How far a clock is ahead of this process's; undefined if it cannot be asked. */
  async #offsetOf(clock: string, read: () => Promise<number>): Promise<number | undefined> {
    const { nowMs } = this.#options;
    if (this.#asked.has(clock)) return undefined;
    this.#asked.add(clock);
    const beforeMs = nowMs();
    try {
      const answer = read().finally(() => this.#asked.delete(clock));
      const atMs = await withDeadline(answer, probeDeadlineMs, 'reading a clock');
      return atMs - (beforeMs + nowMs()) / 2;
    } catch (error) {
      // Whoever needs Redis or Postgres reports that it does not answer; only this one needs TIME.
      if (String(error).includes('NOPERM') && !this.#isTimeRefused) {
        this.#isTimeRefused = true;
        this.#options.log.warn({ error }, 'Redis refuses TIME, so its clock is not compared; grant +time');
      }
      return undefined;
    }
  }

  #report(clock: string, offsetMs: number | undefined): void {
    const { onSkew, log } = this.#options;
    // Without a majority relative to this process: that they differ still shows.
    const skewMs = offsetMs === undefined ? Number.NaN : offsetMs - (this.#offsetMs ?? 0);
    onSkew(clock, skewMs / 1000);
    if (Number.isNaN(skewMs)) return;
    const isWrong = Math.abs(skewMs) > toleranceMs;
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
  const agreeing = sorted.filter((offset) => Math.abs(offset - median) <= toleranceMs);
  return agreeing.length >= 2 ? median : undefined;
}
