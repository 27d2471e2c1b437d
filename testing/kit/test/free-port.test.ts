import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { findFreePort, startOnFreePort } from '../src/free-port.ts';

test('a free port can be listened on and is not an ephemeral port', async () => {
  const port = await findFreePort();
  expect(port).toBeGreaterThanOrEqual(20_000);
  expect(port).toBeLessThan(30_000);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
});

test('a port taken in between is replaced by another; other failures are thrown', async () => {
  const tried: number[] = [];
  const port = await startOnFreePort(async (freePort) => {
    tried.push(freePort);
    if (tried.length < 3) throw new Error('bind: Address already in use');
    return freePort;
  });
  expect(tried.at(-1)).toBe(port);
  await expect(
    startOnFreePort(async () => {
      throw new Error('no such user');
    }),
  ).rejects.toThrow('no such user');
});
