import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import { PermanentErrorLimit } from './redis-error.ts';

const idsPerCommand = 1000;
const maxRetryDelayMs = 2000;

export interface AckTarget {
  readonly stream: string;
  readonly group: string;
}

/**
 * Acknowledges entries, and keeps their ids until Redis has answered: if the connection breaks before that, the
 * acknowledgement is sent again.
 */
export class EntryAcks {
  readonly #redis: Redis;
  readonly #target: AckTarget;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #onRetry: () => void;
  readonly #permanentErrorLimitMs: number | undefined;
  /** An array: a set would cost every id two hashes, and is needed only for redelivered entries. */
  readonly #unacked: string[] = [];
  readonly #failure = new AbortController();
  #flushing: Promise<void> | undefined;

  /** @param onRetry called when a retry begins: a loop that waits for acknowledgements is alive. */
  constructor(
    redis: Redis,
    target: AckTarget,
    metrics: Metrics,
    log: Logger,
    onRetry: () => void,
    permanentErrorLimitMs?: number,
  ) {
    this.#redis = redis;
    this.#target = target;
    this.#metrics = metrics;
    this.#log = log;
    this.#onRetry = onRetry;
    this.#permanentErrorLimitMs = permanentErrorLimitMs;
  }

  /** Aborted with an error that says what to do, once Redis has refused acknowledgements for too long. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  /** Ids whose acknowledgement Redis has not answered yet. */
  get unackedIds(): ReadonlySet<string> {
    return new Set(this.#unacked);
  }

  /** Starts acknowledging ids; call only with entries that are stored or dead-lettered. */
  add(ids: readonly string[], abandon: AbortSignal): void {
    for (const id of ids) this.#unacked.push(id);
    if (this.#unacked.length > 0 && !abandon.aborted && !this.failed.aborted) {
      this.#flushing ??= this.#flush(abandon);
      // The ids of an abandoned flush stay pending: they are redelivered and found to be stored.
      this.#flushing.catch(() => undefined);
    }
  }

  /** Resolves once at most `maxLeft` ids are unacknowledged; rejects with the reason if they are abandoned or refused. */
  async flush(maxLeft: number): Promise<void> {
    while (this.#unacked.length > maxLeft && this.#flushing !== undefined) await this.#flushing;
    this.failed.throwIfAborted();
  }

  async #flush(abandon: AbortSignal): Promise<void> {
    const { stream, group } = this.#target;
    const limit = new PermanentErrorLimit(`XACK ${stream}`, this.#permanentErrorLimitMs);
    try {
      while (this.#unacked.length > 0) {
        const ids = this.#unacked.slice(0, idsPerCommand);
        await retry(() => this.#redis.xack(stream, group, ...ids), {
          signal: abandon,
          maxDelayMs: maxRetryDelayMs,
          onRetry: (error, delayMs) => {
            this.#onRetry();
            limit.check(error);
            const entries = this.#unacked.length;
            this.#log.warn({ stream, error, entries, delayMs }, 'acknowledgement failed; retrying');
          },
        });
        limit.reset();
        this.#unacked.splice(0, ids.length);
        this.#metrics.acks.inc(ids.length);
      }
    } catch (error) {
      if (!abandon.aborted) this.#failure.abort(error);
      throw error;
    } finally {
      // Synchronously with the last check: an `add` in between would rely on a flush that has ended.
      this.#flushing = undefined;
    }
  }
}
