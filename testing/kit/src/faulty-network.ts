import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { Link, type Direction } from './faulty-link.ts';
import { findFreePort } from './free-port.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A TCP network between a client and a server that can be made to fail, for connections open and to come. */
export class FaultyNetwork implements AsyncDisposable {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #delayMs = { toServer: 0, toClient: 0 };
  #swallows = { toServer: false, toClient: false };

  constructor(target: Address, port: number) {
    this.port = port;
    // Half-open allowed: a client that has sent all it has may still wait for the answer.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const link = new Link(client, target, () => this.#links.delete(link));
      this.#links.add(link);
      for (const direction of directions.both) {
        link.delay(this.#delayMs[direction], direction);
        if (this.#swallows[direction]) link.swallow(direction);
      }
    });
  }

  /** The same URL, through this network. */
  through(url: string): string {
    const rewritten = new URL(url);
    rewritten.hostname = '127.0.0.1';
    rewritten.port = String(this.port);
    return rewritten.href;
  }

  /** Everything arrives `ms` later, in order. */
  delay(ms: number, direction: Direction = 'both'): void {
    for (const each of directions[direction]) {
      this.#delayMs[each] = ms;
      for (const link of this.#links) link.delay(ms, each);
    }
  }

  /** What is sent vanishes, closes included; connections stay open and new ones are still accepted. */
  swallow(direction: Direction = 'both'): void {
    for (const each of directions[direction]) {
      this.#swallows[each] = true;
      for (const link of this.#links) link.swallow(each);
    }
  }

  /** The clients of open connections vanish: the server keeps its end, and what it sends is lost. New ones work. */
  halfOpen(): void {
    for (const link of this.#links) link.abandonClient();
  }

  /** Resets open connections on both sides (RST). New ones work. */
  cut(): void {
    for (const link of this.#links) link.reset();
  }

  /** Refuses new connections; open ones continue. */
  async refuse(): Promise<void> {
    // It stops listening at once; it is closed when the last connection is.
    if (this.#server.listening) this.#server.close();
  }

  /** Ends all faults. Delayed bytes still arrive at their time; a connection that lost bytes is reset on both sides. */
  async heal(): Promise<void> {
    this.#delayMs = { toServer: 0, toClient: 0 };
    this.#swallows = { toServer: false, toClient: false };
    for (const link of this.#links) link.heal();
    await this.listen();
  }

  async listen(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen({ port: this.port, host: '127.0.0.1', exclusive: true });
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
    this.cut();
  }
}

const directions = {
  both: ['toServer', 'toClient'],
  toServer: ['toServer'],
  toClient: ['toClient'],
} as const;

export async function startFaultyNetwork(options: {
  /** A server's URL, or its address. */
  readonly target: string | Address;
}): Promise<FaultyNetwork> {
  const target = typeof options.target === 'string' ? addressOf(options.target) : options.target;
  const network = new FaultyNetwork(target, await findFreePort());
  await network.listen();
  return network;
}

function addressOf(url: string): Address {
  const { hostname, port } = new URL(url);
  if (port === '') throw new Error('The URL of a faulty network names no port');
  return { host: hostname, port: Number(port) };
}
