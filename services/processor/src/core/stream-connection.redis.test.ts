import { DeadlineError } from '@app/runtime/deadline';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { StreamConnection } from './stream-connection.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

test('replies are the bytes that Redis sent, in a transaction as well', async () => {
  const connection = await StreamConnection.open(servers.url, 'test', 5000);
  const key = `${servers.keyPrefix}bytes`;
  const bytes = Buffer.from([0xff, 0xfe, 0x00]);
  await redis.set(key, bytes);
  expect(await connection.call('GET', [key], 5000)).toEqual(bytes);
  expect(
    await connection.transaction(
      [
        ['GET', key],
        ['STRLEN', key],
      ],
      5000,
    ),
  ).toEqual([bytes, 3]);
  connection.close();
});

test('a transaction of which one command fails is rejected with its error', async () => {
  const connection = await StreamConnection.open(servers.url, 'test', 5000);
  const key = `${servers.keyPrefix}text`;
  await redis.set(key, 'x');
  const both = connection.transaction(
    [
      ['GET', key],
      ['XINFO', 'STREAM', key],
    ],
    5000,
  );
  await expect(both).rejects.toThrow('WRONGTYPE');
  connection.close();
});

test('it knows its client id in Redis and bears its name', async () => {
  const connection = await StreamConnection.open(servers.url, 'a-name', 5000);
  expect(String(await redis.client('LIST', 'ID', connection.clientId))).toContain(' name=a-name ');
  connection.close();
});

test('a server that is silent, from the start or later, is given up at the deadline', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const connection = await StreamConnection.open(network.through(servers.url), 'test', 5000);
  network.swallow();
  await expect(connection.call('PING', [], 100)).rejects.toBeInstanceOf(DeadlineError);
  await expect(connection.transaction([['PING']], 100)).rejects.toBeInstanceOf(DeadlineError);
  connection.close();
  await expect(StreamConnection.open(network.through(servers.url), 'test', 100)).rejects.toBeInstanceOf(
    Error,
  );
});

test('it is never mended: once cut it stays so, and what was under way is rejected', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const connection = await StreamConnection.open(network.through(servers.url), 'test', 5000);
  const key = `${servers.keyPrefix}list`;
  const blocked = connection.call('BLPOP', [key, 0], 60_000);
  network.cut();
  await expect(blocked).rejects.toThrow(/closed|ECONNRESET/u);
  await network.heal();
  await expect(connection.call('PING', [], 5000)).rejects.toThrow(/closed|writable/u);
  connection.close();
});

test('a server that is not there is an error, and not a wait', async () => {
  await expect(StreamConnection.open('redis://127.0.0.1:1', 'test', 5000)).rejects.toThrow(
    /ECONNREFUSED|closed/u,
  );
});
