import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A TCP port of 127.0.0.1 on which nothing listens, from 20000..29999: below the range of ephemeral ports (32768 and up
 * on Linux). While a server on an ephemeral port is down between kill() and start(), another connection can take the
 * port, and a client that reattempts can even connect to itself.
 */
export async function findFreePort(): Promise<number> {
  for (let attempts = 0; attempts < 100; attempts += 1) {
    const port = randomInt(20_000, 30_000);
    if (await isFree(port)) return port;
  }
  throw new Error('no free TCP port in 100 attempts in 20000..29999');
}

/** Calls `start` with a free port, and with another one if a program has taken it in between. */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await start(await findFreePort());
    } catch (error) {
      if (attempts === 3 || !(error instanceof Error && error.message.includes('already in use')))
        throw error;
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
