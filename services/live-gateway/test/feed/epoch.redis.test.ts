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

async function readAll(doubted: string | undefined, nowMs = 1_000): Promise<readonly string[]> {
  return Promise.all(clients.map((client) => readEpoch(client, stream, doubted, nowMs)));
}

test('gateways that ask at the same time get the same epoch, and it stays', async () => {
  newStream();
  const [first, ...others] = await readAll(undefined);
  expect(new Set(others)).toEqual(new Set([first]));
  expect(await readAll(undefined, 2_000)).toContain(first);
});

test('gateways that see the stream go back replace its epoch once, together', async () => {
  newStream();
  const [doubted] = await readAll(undefined);
  const next = new Set(await readAll(doubted, 2_000));
  expect(next.size).toBe(1);
  expect(next).not.toContain(doubted);
  // Whoever notices only now finds it done.
  expect(new Set(await readAll(doubted, 3_000))).toEqual(next);
});

test('an epoch that a backup brought back is none', async () => {
  newStream();
  const older = newEpoch(1_000);
  const doubted = newEpoch(2_000);
  await clients[0]?.set(`${stream}:live-epoch`, older);
  const next = new Set(await readAll(doubted, 3_000));
  expect(next.size).toBe(1);
  expect(next).not.toContain(older);
  expect(next).not.toContain(doubted);
});

test('the epoch goes with the stream when Redis is emptied', async () => {
  newStream();
  const [before] = await readAll(undefined);
  await clients[0]?.unlink(`${stream}:live-epoch`);
  const after = new Set(await readAll(undefined));
  expect(after.size).toBe(1);
  expect(after).not.toContain(before);
});
