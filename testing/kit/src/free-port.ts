import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A TCP port of 127.0.0.1 on which nothing listens.
 *
 * From 20000..29999, below the range out of which systems pick the ports of outgoing connections
 * (32768 and up on Linux). Asking the system for port 0 gives one of that range, and there, while
 * a server is down between kill() and start(), another connection can take its port; a client
 * that retries against it can even connect to itself.
 */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = randomInt(20_000, 30_000);
    if (await isFree(port)) return port;
  }
  throw new Error('No free TCP port found among 100 tries in 20000..29999');
}

/** Starts something on a free port, and on another one when a third program has taken that in between. */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(await findFreePort());
    } catch (error) {
      if (tries === 3 || !(error instanceof Error && error.message.includes('already in use'))) throw error;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => {
    resolve(false);
  });
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}
