import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Load, SendingOrder } from './load.ts';

/** What was sent. */
export interface SentCounts {
  /** All records with a number below this were sent at least once. */
  readonly records: number;
  /** XADDs that Redis confirmed. */
  readonly confirmed: number;
  /** XADDs that failed or got no reply and were sent again: Redis may have executed them. */
  readonly unconfirmed: number;
  /** Dead letters that were replayed. */
  readonly replayed: number;
  /** Maximum number of further replays whose reply was lost. */
  readonly unconfirmedReplays: number;
}

const pipelineLength = 500;
const pollMs = 10;
/** How long it retries after the signal. */
const retryLimitMs = 30_000;

/** Adds the load to the stream at a fixed rate, whether or not it is consumed; catches up after an outage of Redis. */
export class Producer {
  readonly #redis: Redis;
  readonly #stream: string;
  readonly #load: Load;
  readonly #order: SendingOrder;
  readonly #ratePerS: number;
  #burst = 0;
  #drawn = 0;
  #confirmed = 0;
  #unconfirmed = 0;
  #replayed = 0;
  #unconfirmedReplays = 0;

  constructor(redis: Redis, stream: string, load: Load, ratePerS: number) {
    this.#redis = redis;
    this.#stream = stream;
    this.#load = load;
    this.#order = new SendingOrder(load);
    this.#ratePerS = ratePerS;
  }

  get counts(): SentCounts {
    return {
      records: this.#order.started,
      confirmed: this.#confirmed,
      unconfirmed: this.#unconfirmed,
      replayed: this.#replayed,
      unconfirmedReplays: this.#unconfirmedReplays,
    };
  }

  /** Sends more entries at once. */
  burst(entries: number): void {
    this.#burst += entries;
  }

  /** Counts entries that a replay of dead letters has added. */
  noteReplay(confirmed: number, unconfirmed: number): void {
    this.#replayed += confirmed;
    this.#unconfirmedReplays += unconfirmed;
  }

  /** Sends until the signal, then what was held back; resolves once Redis has confirmed everything. */
  async run(signal: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    while (!signal.aborted) {
      const due =
        Math.floor(((performance.now() - startedAtMs) / 1000) * this.#ratePerS) + this.#burst - this.#drawn;
      if (due < 1) {
        await sleep(pollMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      const numbers = Array.from({ length: Math.min(due, pipelineLength) }, () => this.#order.next());
      this.#drawn += numbers.length;
      await this.#send(numbers, signal);
    }
    await this.#send(this.#order.rest(), signal);
  }

  async #send(numbers: readonly number[], signal: AbortSignal): Promise<void> {
    let toSend = numbers;
    let retryUntilMs = Infinity;
    while (toSend.length > 0) {
      const pipeline = this.#redis.pipeline();
      for (const n of toSend) pipeline.xadd(this.#stream, '*', ...this.#load.item(n).fields);
      const replies = (await pipeline.exec().catch(() => null)) ?? [];
      const failed = toSend.filter((_, index) => typeof replies[index]?.[1] !== 'string');
      this.#confirmed += toSend.length - failed.length;
      this.#unconfirmed += failed.length;
      toSend = failed;
      if (failed.length === 0) return;
      await sleep(100);
      const nowMs = performance.now();
      if (signal.aborted) retryUntilMs = Math.min(retryUntilMs, nowMs + retryLimitMs);
      if (nowMs > retryUntilMs) throw new Error(`Redis confirmed no entry for ${retryLimitMs / 1000} s`);
    }
  }
}
