import { LRUCache } from 'lru-cache';

/** A value of Directus and its TTL from the time of the request; 0 is not cached. */
export interface Cacheable<T> {
  readonly value: T;
  readonly ttlMs: number;
}

export type CacheResult = 'hit' | 'miss' | 'coalesced';

interface Entry<T> {
  readonly value: T;
  readonly requestedAtMs: number;
  readonly expiresAtMs: number;
}

interface PendingRequest<T> {
  readonly requestedAtMs: number;
  readonly value: Promise<T>;
}

/**
 * Caches values of Directus; concurrent requests for one key share one call.
 *
 * A value describes Directus at the time of the request, not of the response: its age counts from the request, a late
 * response never replaces a newer value, and a caller that needs a current value passes `notBeforeMs`.
 */
export class DirectusCache<T> {
  readonly #entries: LRUCache<string, Entry<T>>;
  readonly #pending = new Map<string, PendingRequest<T>>();
  readonly #nowMs: () => number;
  readonly #onResult: (result: CacheResult) => void;

  constructor(options: {
    /** Above this the least recently used entry is evicted. */
    readonly maxEntries: number;
    readonly nowMs: () => number;
    readonly onResult: (result: CacheResult) => void;
  }) {
    this.#entries = new LRUCache({ max: options.maxEntries });
    this.#nowMs = options.nowMs;
    this.#onResult = options.onResult;
  }

  /**
   * @param load calls Directus. A rejection reaches every caller that shares the call, and is not cached.
   * @param notBeforeMs earliest acceptable time of the request.
   */
  async get(key: string, load: () => Promise<Cacheable<T>>, notBeforeMs = 0): Promise<T> {
    const nowMs = this.#nowMs();
    const entry = this.#entries.get(key);
    if (entry !== undefined && nowMs < entry.expiresAtMs && entry.requestedAtMs >= notBeforeMs) {
      this.#onResult('hit');
      return entry.value;
    }
    const pending = this.#pending.get(key);
    if (pending !== undefined && pending.requestedAtMs >= notBeforeMs) {
      this.#onResult('coalesced');
      return pending.value;
    }
    this.#onResult('miss');
    return this.#request(key, load, nowMs);
  }

  async #request(key: string, load: () => Promise<Cacheable<T>>, requestedAtMs: number): Promise<T> {
    const pending = { requestedAtMs, value: this.#loadEntry(key, load, requestedAtMs) };
    this.#pending.set(key, pending);
    try {
      return await pending.value;
    } finally {
      // A caller that needed a newer value may have replaced this request.
      if (this.#pending.get(key) === pending) this.#pending.delete(key);
    }
  }

  async #loadEntry(key: string, load: () => Promise<Cacheable<T>>, requestedAtMs: number): Promise<T> {
    const { value, ttlMs } = await load();
    const current = this.#entries.get(key);
    if (current === undefined || current.requestedAtMs <= requestedAtMs) {
      if (ttlMs > 0) this.#entries.set(key, { value, requestedAtMs, expiresAtMs: requestedAtMs + ttlMs });
      else this.#entries.delete(key);
    }
    return value;
  }
}
