import { once } from 'node:events';
import { createServer } from 'node:net';
import { Link, type Direction } from './faulty-link.ts';
import { findFreePort } from './free-port.ts';

/** A TCP network between a client and a server that can be made to fail, for connections open and to come. */
export interface FaultyNetwork extends AsyncDisposable {
  /** Where clients connect, on 127.0.0.1. */
  readonly port: number;
  /** The same URL, through this network. */
  through(url: string): string;
  /** How many connections are open on either side. */
  openConnections(): number;
  /** Everything arrives `ms` later, in order. */
  delay(ms: number, direction?: Direction): void;
  /** What is sent vanishes, closes included; connections stay open and new ones are still accepted. */
  swallow(direction?: Direction): void;
  /**
   * The clients of the present connections are gone without a word: the server keeps its end open, and what it
   * sends vanishes. New connections are well.
   */
  halfOpen(): void;
  /** Resets the present connections on both sides (RST). New ones are well. */
  cut(): void;
  /** New connections are refused; the present ones go on. */
  refuse(): Promise<void>;
  /**
   * All is well again. What was delayed still arrives at its time; a connection that lost bytes is reset on both
   * sides, for a stream with a hole cannot go on.
   */
  heal(): Promise<void>;
}

export async function startFaultyNetwork(options: {
  /** A server's URL, or its address. */
  readonly target: string | { readonly host: string; readonly port: number };
}): Promise<FaultyNetwork> {
  const target = typeof options.target === 'string' ? addressOf(options.target) : options.target;
  const port = await findFreePort();
  const links = new Set<Link>();
  const fault = { delayMs: { toServer: 0, toClient: 0 }, swallows: { toServer: false, toClient: false } };

  // Half-open allowed: a client that has sent all it has may still wait for the answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const link = new Link(client, target, () => links.delete(link));
    links.add(link);
    for (const direction of ['toServer', 'toClient'] as const) {
      link.delay(fault.delayMs[direction], direction);
      if (fault.swallows[direction]) link.swallow(direction);
    }
  });
  const listen = async (): Promise<void> => {
    if (server.listening) return;
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
  };
  const refuse = async (): Promise<void> => {
    // It listens no more from here on; that it is closed it says when the last connection is.
    if (server.listening) server.close();
  };
  await listen();

  return {
    port,
    through: (url) => {
      const rewritten = new URL(url);
      rewritten.hostname = '127.0.0.1';
      rewritten.port = String(port);
      return rewritten.href;
    },
    openConnections: () => links.size,
    delay: (ms, direction = 'both') => {
      for (const each of eachOf(direction)) {
        fault.delayMs[each] = ms;
        for (const link of links) link.delay(ms, each);
      }
    },
    swallow: (direction = 'both') => {
      for (const each of eachOf(direction)) {
        fault.swallows[each] = true;
        for (const link of links) link.swallow(each);
      }
    },
    halfOpen: () => {
      for (const link of links) link.abandonClient();
    },
    cut: () => {
      for (const link of links) link.reset();
    },
    refuse,
    heal: async () => {
      fault.delayMs = { toServer: 0, toClient: 0 };
      fault.swallows = { toServer: false, toClient: false };
      for (const link of links) link.heal();
      await listen();
    },
    [Symbol.asyncDispose]: async () => {
      await refuse();
      for (const link of links) link.reset();
    },
  };
}

function eachOf(direction: Direction): readonly ('toServer' | 'toClient')[] {
  return direction === 'both' ? ['toServer', 'toClient'] : [direction];
}

function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  if (port === '') throw new Error('The URL of a faulty network names no port');
  return { host: hostname, port: Number(port) };
}
