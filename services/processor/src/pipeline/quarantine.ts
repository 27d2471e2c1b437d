import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Entry } from '../stream/entry-reply.ts';
import { classifyRedisError, PermanentErrorLimit } from '../stream/redis-error.ts';

/** Redis hash: entry id → isolated attempts at that entry that the process did not survive. */
export function failedAttemptsKey(stream: string): string {
  return `${stream}:failed-attempts`;
}

/** More than one, because a SIGKILL may end an attempt at a healthy entry. */
const maxFailedAttempts = 2;
/** An entry that crashes the process does so while it is decoded and sent; an attempt that takes longer waits for a lock. */
const maxWorkMs = 1000;

/** What a quarantined entry needs from the loop. */
export interface QuarantineSteps {
  /** Processes one entry like any other; pauses the attempt while it waits for Postgres. */
  readonly process: (entry: Entry, attempt: Attempt) => Promise<void>;
  /** Dead-letters and acknowledges the entry after `attempts` that crashed the process. */
  readonly reject: (entry: Entry, attempts: number) => Promise<void>;
}

export interface QuarantineContext {
  readonly redis: Redis;
  readonly stream: string;
  readonly signal: AbortSignal;
  readonly onProgress: () => void;
  readonly permanentErrorLimitMs?: number | undefined;
  readonly log: Logger;
}

/** Processes entries that were delivered too often one by one, to find one that crashes the process. */
export async function processQuarantined(
  entries: readonly Entry[],
  steps: QuarantineSteps,
  context: QuarantineContext,
): Promise<void> {
  const { redis, stream, signal, onProgress, permanentErrorLimitMs, log } = context;
  const limit = new PermanentErrorLimit(
    `attempt counters in ${failedAttemptsKey(stream)}`,
    permanentErrorLimitMs,
  );
  const retrying = {
    signal,
    onRetry: (error: unknown, delayMs: number) => {
      onProgress();
      limit.check(error);
      log.warn({ stream, error, delayMs }, 'attempt counter failed; retrying');
    },
  };
  for (const entry of entries) {
    onProgress();
    const failed = await retry(() => redis.hget(failedAttemptsKey(stream), entry.id), retrying);
    const attempt = new Attempt(redis, stream, entry.id, Number(failed ?? 0));
    await retry(() => attempt.begin(), retrying);
    limit.reset();
    let hasSucceeded = false;
    try {
      if (attempt.failed >= maxFailedAttempts) await steps.reject(entry, attempt.failed);
      else await steps.process(entry, attempt);
      hasSucceeded = true;
    } finally {
      await (hasSucceeded ? attempt.end() : attempt.pause());
    }
  }
}

/**
 * The counter of one entry, in Redis: it is set before an attempt and deleted after it, so it remains only after a crash. A
 * wait for Postgres, or for longer than the work takes, does not count: a process that is killed then was not crashed by
 * the entry.
 */
export class Attempt {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #entryId: string;
  /** Earlier attempts that the process did not survive. */
  readonly failed: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, stream: string, entryId: string, failed: number) {
    this.#redis = redis;
    this.#key = failedAttemptsKey(stream);
    this.#entryId = entryId;
    this.failed = failed;
  }

  /**
   * Sets the counter. Not an increment: a command that is sent again after a lost reply must not count twice. At
   * `maxmemory` the attempt is not counted: waiting for memory would block the stream.
   */
  async begin(): Promise<void> {
    await this.#redis.hset(this.#key, this.#entryId, this.failed + 1).catch((error: unknown) => {
      if (classifyRedisError(error) !== 'out_of_memory') throw error;
    });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.pause(), maxWorkMs);
  }

  /** Takes this attempt out of the counter. Best effort: one that stays counts one attempt too many. */
  async pause(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.failed === 0) {
      await this.end();
      return;
    }
    await this.#redis.hset(this.#key, this.#entryId, this.failed).catch(async (error: unknown) => {
      // Rather forget earlier attempts than count this one: a healthy entry must not be dead-lettered.
      if (classifyRedisError(error) === 'out_of_memory') await this.end();
    });
  }

  /** Deletes the counter. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#redis.hdel(this.#key, this.#entryId).catch(() => undefined);
  }
}
