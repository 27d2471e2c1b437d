import { LRUCache } from 'lru-cache';

/** An answer and for how long it may be given again, counted from the moment it was asked for; 0 keeps it not at all. */
export interface Cacheable<T> {
  readonly value: T;
  readonly ttlMs: number;
}

export type CacheResult = 'hit' | 'miss' | 'coalesced';

interface Kept<T> {
  readonly value: T;
  readonly askedAtMs: number;
  readonly keptUntilMs: number;
}

interface Asking<T> {
  readonly askedAtMs: number;
  readonly value: Promise<T>;
}

/**
 * Answers of Directus, each asked for once however many want it at the same time.
 *
 * An answer tells how things were when the question was sent, not when the reply came: its age counts from there, a
 * slow old reply never replaces a newer one, and whoever needs to know how things are now says `notBeforeMs`.
 */
export class DirectusCache<T> {
  readonly #kept: LRUCache<string, Kept<T>>;
  readonly #asking = new Map<string, Asking<T>>();
  readonly #nowMs: () => number;
  readonly #onResult: (result: CacheResult) => void;

  constructor(options: {
    /** The least recently used answer goes when there are more. */
    readonly maxAnswers: number;
    readonly nowMs: () => number;
    readonly onResult: (result: CacheResult) => void;
  }) {
    this.#kept = new LRUCache({ max: options.maxAnswers });
    this.#nowMs = options.nowMs;
    this.#onResult = options.onResult;
  }

  /**
   * @param load asks Directus; its rejection reaches everyone who waits for this answer and is not kept.
   * @param notBeforeMs an answer asked for earlier than this is not good enough.
   */
  async get(key: string, load: () => Promise<Cacheable<T>>, notBeforeMs = 0): Promise<T> {
    const nowMs = this.#nowMs();
    const kept = this.#kept.get(key);
    if (kept !== undefined && nowMs < kept.keptUntilMs && kept.askedAtMs >= notBeforeMs) {
      this.#onResult('hit');
      return kept.value;
    }
    const asking = this.#asking.get(key);
    if (asking !== undefined && asking.askedAtMs >= notBeforeMs) {
      this.#onResult('coalesced');
      return asking.value;
    }
    this.#onResult('miss');
    return this.#ask(key, load, nowMs);
  }

  async #ask(key: string, load: () => Promise<Cacheable<T>>, askedAtMs: number): Promise<T> {
    const asking = { askedAtMs, value: this.#loadAndKeep(key, load, askedAtMs) };
    this.#asking.set(key, asking);
    try {
      return await asking.value;
    } finally {
      // Someone who needed a fresher answer may have put theirs in this place.
      if (this.#asking.get(key) === asking) this.#asking.delete(key);
    }
  }

  async #loadAndKeep(key: string, load: () => Promise<Cacheable<T>>, askedAtMs: number): Promise<T> {
    const { value, ttlMs: keepMs } = await load();
    const newer = this.#kept.get(key);
    if (newer === undefined || newer.askedAtMs <= askedAtMs) {
      if (keepMs > 0) this.#kept.set(key, { value, askedAtMs, keptUntilMs: askedAtMs + keepMs });
      else this.#kept.delete(key);
    }
    return value;
  }
}
