import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';

const idsInOneCommand = 1000;
const longestRetryMs = 2000;

export interface AckTarget {
  readonly stream: string;
  readonly group: string;
}

/**
 * Acknowledges entries, and remembers them until Redis has answered: an acknowledgement that is sent and
 * forgotten leaves its entries pending whenever the connection breaks at that moment.
 */
export class EntryAcks {
  readonly #redis: Redis;
  readonly #target: AckTarget;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #onRetry: () => void;
  /** As they were given: a set would look at every id twice more, and is asked for only where entries come again. */
  readonly #unacked: string[] = [];
  #flushing: Promise<void> | undefined;

  /** `onRetry` is called when a retry begins: a loop that waits for acknowledgements as it should is alive. */
  constructor(redis: Redis, target: AckTarget, metrics: Metrics, log: Logger, onRetry: () => void) {
    this.#redis = redis;
    this.#target = target;
    this.#metrics = metrics;
    this.#log = log;
    this.#onRetry = onRetry;
  }

  /** Ids whose acknowledgement Redis has not answered yet. */
  get unackedIds(): ReadonlySet<string> {
    return new Set(this.#unacked);
  }

  /** Takes ids and starts sending them; call only with what is stored or parked. */
  add(ids: readonly string[], abandon: AbortSignal): void {
    for (const id of ids) this.#unacked.push(id);
    if (this.#unacked.length > 0 && !abandon.aborted) {
      this.#flushing ??= this.#flush(abandon);
      // An abandoned flush leaves its ids pending, to be delivered and found stored again.
      this.#flushing.catch(() => undefined);
    }
  }

  /** Resolves when at most `room` ids are owed; rejects with the signal's reason if they are abandoned. */
  async flush(room: number): Promise<void> {
    while (this.#unacked.length > room && this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(abandon: AbortSignal): Promise<void> {
    const { stream, group } = this.#target;
    try {
      while (this.#unacked.length > 0) {
        const ids = this.#unacked.slice(0, idsInOneCommand);
        await retry(() => this.#redis.xack(stream, group, ...ids), {
          signal: abandon,
          maxDelayMs: longestRetryMs,
          onRetry: (error, delayMs) => {
            this.#onRetry();
            const owed = this.#unacked.length;
            this.#log.warn(
              { stream, error, owed, delayMs },
              'no answer to an acknowledgement; sending it again',
            );
          },
        });
        this.#unacked.splice(0, ids.length);
        this.#metrics.acks.inc(ids.length);
      }
    } finally {
      // Here and not in a later turn: an `add` in between would find a flush that flushes no more.
      this.#flushing = undefined;
    }
  }
}
