import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';

/** Hash of the entries that are being tried alone right now, with how many such attempts never ended. */
export function attemptsKey(stream: string): string {
  return `${stream}:attempts`;
}

/**
 * A mark in Redis that stands while one suspicious entry is tried alone. If the process dies meanwhile the mark
 * stays, and that alone is what tells poison from an entry that was merely read often: it is taken away while
 * the attempt waits for a transient error to pass, and however the attempt ends.
 */
export class LoneAttempt implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #stream: string;
  readonly #entryId: string;
  readonly #abandon: AbortSignal;
  /** Attempts that began and never ended, this one included. */
  readonly unendedAttempts: number;

  private constructor(redis: Redis, stream: string, entryId: string, abandon: AbortSignal, unended: number) {
    this.#redis = redis;
    this.#stream = stream;
    this.#entryId = entryId;
    this.#abandon = abandon;
    this.unendedAttempts = unended;
  }

  static async begin(
    redis: Redis,
    stream: string,
    entryId: string,
    abandon: AbortSignal,
  ): Promise<LoneAttempt> {
    const mark = (): Promise<number> => redis.hincrby(attemptsKey(stream), entryId, 1);
    const unended = await retry(mark, { signal: abandon });
    return new LoneAttempt(redis, stream, entryId, abandon, unended);
  }

  /** The attempt failed for a passing reason and waits. */
  async suspend(): Promise<void> {
    await retry(() => this.#count(-1), { signal: this.#abandon });
  }

  async resume(): Promise<void> {
    await retry(() => this.#count(1), { signal: this.#abandon });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const unmark = (): Promise<number> => this.#redis.hdel(attemptsKey(this.#stream), this.#entryId);
    // Also when the work is abandoned: a mark left behind would count as a death.
    if (this.#abandon.aborted) await unmark();
    else await retry(unmark, { signal: this.#abandon });
  }

  async #count(by: number): Promise<void> {
    await this.#redis.hincrby(attemptsKey(this.#stream), this.#entryId, by);
  }
}
