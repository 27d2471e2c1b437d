/** A ping that the client has not answered. */
interface OpenPing {
  readonly number: number;
  /** Bytes sent on the connection before this ping. */
  readonly sentBytes: number;
  readonly atMs: number;
}

/**
 * The pings of one connection, each with the bytes sent before it. A pong proves that the client has read those bytes.
 * The socket's own buffer proves nothing: it stays empty until the kernel has taken some 4 MiB, minutes of a feed.
 */
export class PingTracker {
  // Initialised as numbers: V8 allocates a number at each write to a field that was first undefined.
  #sentAtMs: number;
  /** Bytes sent before the last ping, and before the last answered one. */
  #pingedBytes = 0;
  #answeredBytes = 0;
  #count = 0;
  #open: OpenPing[] = [];

  constructor(nowMs: number) {
    this.#sentAtMs = nowMs;
  }

  /** When the last ping was sent; before the first one, when the connection was opened. */
  get sentAtMs(): number {
    return this.#sentAtMs;
  }

  get pingedBytes(): number {
    return this.#pingedBytes;
  }

  get answeredBytes(): number {
    return this.#answeredBytes;
  }

  /** When the oldest unanswered ping was sent; Infinity if all are answered. */
  get oldestOpenAtMs(): number {
    return this.#open[0]?.atMs ?? Infinity;
  }

  /** @returns the number of the ping to send, its payload. */
  add(sentBytes: number, nowMs: number): number {
    this.#count += 1;
    this.#sentAtMs = nowMs;
    this.#pingedBytes = sentBytes;
    this.#open.push({ number: this.#count, sentBytes, atMs: nowMs });
    return this.#count;
  }

  /** @returns whether the pong answers an open ping: it may also be unsolicited, or older than one already answered. */
  answer(number: number): boolean {
    const at = this.#open.findIndex((ping) => ping.number === number);
    if (at === -1) return false;
    this.#answeredBytes = this.#open[at]?.sentBytes ?? this.#answeredBytes;
    this.#open = at === this.#open.length - 1 ? [] : this.#open.slice(at + 1);
    return true;
  }
}
