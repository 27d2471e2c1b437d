import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { plainServerMessage, type PlainServerMessage, type SnapshotPosition } from '@app/shared/messages';
import { WebSocket } from 'ws';
import { Latencies } from './latencies.ts';

export interface SpectatorOptions {
  /** The gateway's, `ws://…`. */
  readonly url: string;
  readonly cookie: string;
  readonly origin: string;
  readonly topic: string;
}

/** A client that watches an event in the plain dialect. */
export class Spectator {
  readonly #socket: WebSocket;
  readonly #newest = new Map<string, SnapshotPosition>();
  readonly #latencies = new Latencies();
  readonly #subscribed = Promise.withResolvers<void>();
  readonly #closed: Promise<number>;
  #received = 0;
  #subscribedAtMs = Infinity;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('expected each message as one Buffer');
      this.#receive(plainServerMessage.parse(JSON.parse(data.toString())));
    });
    this.#closed = once(socket, 'close').then(([code]: unknown[]) => {
      this.#subscribed.reject(new Error(`the gateway closed the connection with ${String(code)}`));
      return Number(code);
    });
  }

  /** Connects and subscribes; resolves with the gateway's `subscribed` message. */
  static async connect(options: SpectatorOptions, signal: AbortSignal): Promise<Spectator> {
    const { url, cookie, origin, topic } = options;
    const socket = new WebSocket(url, { headers: { cookie }, origin });
    try {
      // A refused upgrade is an 'error' with the status: once() rejects with it.
      await once(socket, 'open', { signal });
      const spectator = new Spectator(socket);
      spectator.send({ type: 'subscribe', topic, id: 1 });
      await spectator.#subscribed.promise;
      return spectator;
    } catch (error) {
      socket.terminate();
      throw error;
    }
  }

  /** The newest position received of each device, by IMEI. */
  get newest(): ReadonlyMap<string, SnapshotPosition> {
    return this.#newest;
  }

  /** Positions received after the snapshot. */
  get received(): number {
    return this.#received;
  }

  /** From fix time to arrival, of fixes since the subscription. Same machine, same clock. */
  get latencies(): Latencies {
    return this.#latencies;
  }

  /** Resolves with the close code. */
  get closed(): Promise<number> {
    return this.#closed;
  }

  /** Waits until no position has arrived for `quietMs`. */
  async untilQuiet(quietMs: number): Promise<void> {
    for (let before = -1; before !== this.#received;) {
      before = this.#received;
      await sleep(quietMs);
    }
  }

  send(message: unknown): void {
    this.#socket.send(JSON.stringify(message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close(1000);
    await this.#closed;
  }

  #receive(message: PlainServerMessage): void {
    switch (message.type) {
      case 'subscribed':
        this.#subscribedAtMs = Date.now();
        for (const position of message.snapshot) this.#newest.set(position.deviceId, position);
        this.#subscribed.resolve();
        break;
      case 'position':
        this.#newest.set(message.deviceId, message);
        this.#received += 1;
        if (message.ts >= this.#subscribedAtMs) this.#latencies.add(Date.now() - message.ts);
        break;
      case 'error':
        this.#subscribed.reject(new Error(`the gateway refused: ${message.code}, ${message.message}`));
        break;
      default:
    }
  }
}
