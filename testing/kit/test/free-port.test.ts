import { expect, test } from 'vitest';
import { startOnFreePort } from '../src/free-port.ts';

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
