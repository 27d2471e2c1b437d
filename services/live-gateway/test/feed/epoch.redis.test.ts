import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newEpoch, readEpoch } from '../../src/feed/epoch.ts';

let server: Awaited<ReturnType<typeof startRedis>>;
let clients: readonly Redis[];
let stream: string;
let streams = 0;

beforeAll(async () => {
  server = await startRedis();
  clients = Array.from({ length: 4 }, () => new Redis(server.url));
});

afterAll(async () => {
  for (const client of clients) client.disconnect();
  await server[Symbol.asyncDispose]();
});

function newStream(): string {
  streams += 1;
  stream = `${server.keyPrefix}telemetry:${streams}`;
  return stream;
}

async function readAll(invalidated: string | undefined, nowMs = 1_000): Promise<readonly string[]> {
  return Promise.all(clients.map((client) => readEpoch(client, stream, invalidated, nowMs)));
}

test('gateways that start together read the same epoch, and it stays', async () => {
  newStream();
  const [first, ...others] = await readAll(undefined);
  expect(new Set(others)).toEqual(new Set([first]));
  expect(await readAll(undefined, 2_000)).toContain(first);
});

test('gateways that detect a rewind replace the epoch once', async () => {
  newStream();
  const [invalidated] = await readAll(undefined);
  const next = new Set(await readAll(invalidated, 2_000));
  expect(next.size).toBe(1);
  expect(next).not.toContain(invalidated);
  // A gateway that detects the rewind later reads the new epoch.
  expect(new Set(await readAll(invalidated, 3_000))).toEqual(next);
});

test('an epoch restored from a backup is replaced', async () => {
  newStream();
  const older = newEpoch(1_000);
  const invalidated = newEpoch(2_000);
  await clients[0]?.set(`${stream}:live-epoch`, older);
  const next = new Set(await readAll(invalidated, 3_000));
  expect(next.size).toBe(1);
  expect(next).not.toContain(older);
  expect(next).not.toContain(invalidated);
});

test('a deleted epoch is replaced by a new one', async () => {
  newStream();
  const [before] = await readAll(undefined);
  await clients[0]?.unlink(`${stream}:live-epoch`);
  const after = new Set(await readAll(undefined));
  expect(after.size).toBe(1);
  expect(after).not.toContain(before);
});
