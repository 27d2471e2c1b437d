import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Load, SendingOrder } from './load.ts';

/** The generator's own ledger. */
export interface FedCounts {
  /** All records with a number below this were sent, at least once. */
  readonly records: number;
  /** Entries that Redis said it took. */
  readonly answered: number;
  /** XADDs whose answer was lost, or an error: Redis may have taken them or not. Each was sent again. */
  readonly unanswered: number;
  /** Entries that came back from the dead letters, and how many more may have, where an answer was lost. */
  readonly replayed: number;
  readonly perhapsReplayed: number;
}

const inOneGo = 500;
const turnMs = 10;
/** How long after its end it goes on trying to get an answer for all that it has begun. */
const lastTryMs = 30_000;

/**
 * Adds the load to the stream at a fixed rate and waits for no consumer: what is due while Redis is away is added as
 * soon as it is back. It holds numbers only, and of these no more than one pipeline has.
 */
export class Feed {
  readonly #redis: Redis;
  readonly #stream: string;
  readonly #load: Load;
  readonly #order: SendingOrder;
  readonly #ratePerS: number;
  #burst = 0;
  #taken = 0;
  #answered = 0;
  #unanswered = 0;
  #replayed = 0;
  #perhapsReplayed = 0;

  constructor(redis: Redis, stream: string, load: Load, ratePerS: number) {
    this.#redis = redis;
    this.#stream = stream;
    this.#load = load;
    this.#order = new SendingOrder(load);
    this.#ratePerS = ratePerS;
  }

  get counts(): FedCounts {
    return {
      records: this.#order.begun,
      answered: this.#answered,
      unanswered: this.#unanswered,
      replayed: this.#replayed,
      perhapsReplayed: this.#perhapsReplayed,
    };
  }

  /** So many more, at once. */
  burst(entries: number): void {
    this.#burst += entries;
  }

  /** Enters into the ledger what another has put onto the stream. */
  noteReplay(certain: number, uncertain: number): void {
    this.#replayed += certain;
    this.#perhapsReplayed += uncertain;
  }

  /** Feeds until the signal, then sends what is held back; resolves when Redis has answered for all of it. */
  async run(signal: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    while (!signal.aborted) {
      const due =
        Math.floor(((performance.now() - startedAtMs) / 1000) * this.#ratePerS) + this.#burst - this.#taken;
      if (due < 1) {
        await sleep(turnMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      const numbers = Array.from({ length: Math.min(due, inOneGo) }, () => this.#order.next());
      this.#taken += numbers.length;
      await this.#send(numbers, signal);
    }
    await this.#send(this.#order.rest(), signal);
  }

  async #send(numbers: readonly number[], signal: AbortSignal): Promise<void> {
    let toSend = numbers;
    let lastTryAtMs = Infinity;
    while (toSend.length > 0) {
      const pipeline = this.#redis.pipeline();
      for (const n of toSend) pipeline.xadd(this.#stream, '*', ...this.#load.item(n).fields);
      const replies = (await pipeline.exec().catch(() => null)) ?? [];
      const again = toSend.filter((_, index) => typeof replies[index]?.[1] !== 'string');
      this.#answered += toSend.length - again.length;
      this.#unanswered += again.length;
      toSend = again;
      if (again.length === 0) return;
      await sleep(100);
      const nowMs = performance.now();
      if (signal.aborted) lastTryAtMs = Math.min(lastTryAtMs, nowMs + lastTryMs);
      if (nowMs > lastTryAtMs) throw new Error(`Redis took no entry for ${lastTryMs / 1000} s`);
    }
  }
}
