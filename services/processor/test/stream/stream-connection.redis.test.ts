import { DeadlineError } from '@app/runtime/deadline';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { StreamConnection } from '../../src/stream/stream-connection.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

test('replies are the bytes that Redis sent', async () => {
  const connection = await StreamConnection.open(servers.url, 'test', 5000);
  const key = `${servers.keyPrefix}bytes`;
  const bytes = Buffer.from([0xff, 0xfe, 0x00]);
  await redis.set(key, bytes);
  expect(await connection.call('GET', [key], 5000)).toEqual(bytes);
  connection.close();
});

test('an error reply rejects its command, and the connection stays usable', async () => {
  const connection = await StreamConnection.open(servers.url, 'test', 5000);
  await expect(connection.call('XLEN', [], 5000)).rejects.toThrow("wrong number of arguments for 'xlen'");
  expect(await connection.call('XLEN', [`${servers.keyPrefix}none`], 5000)).toBe(0);
  connection.close();
});

test('replies reach their callers, however many commands are in flight and however the replies are fragmented', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const connection = await StreamConnection.open(network.through(servers.url), 'test', 5000);
  const texts = Array.from({ length: 300 }, (_, n) => String(n).repeat((n * 37) % 2000));
  const echoes = texts.map((text) => connection.call('ECHO', [text], 5000, (reply) => reply.text()));
  expect(await Promise.all(echoes)).toEqual(texts);
  connection.close();
});

test('an unexpected reply ends the connection', async () => {
  const connection = await StreamConnection.open(servers.url, 'test', 5000);
  const key = `${servers.keyPrefix}channel`;
  await connection.call('SUBSCRIBE', [key], 5000);
  await redis.publish(key, 'unasked');
  // It is on its way: a command sent meanwhile may be given it, and then has one answer too many.
  await eventually(() =>
    connection.call('PING', [], 5000).then(
      () => false,
      () => true,
    ),
  );
  await expect(connection.call('PING', [], 5000)).rejects.toThrow('unexpected reply');
  connection.close();
});

test('the connection has its name and knows its client id', async () => {
  const connection = await StreamConnection.open(servers.url, 'a-name', 5000);
  expect(String(await redis.client('LIST', 'ID', connection.clientId))).toContain(' name=a-name ');
  connection.close();
});

test('a silent server, from the start or later, is given up at the deadline', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const connection = await StreamConnection.open(network.through(servers.url), 'test', 5000);
  network.swallow();
  await expect(connection.call('PING', [], 100)).rejects.toBeInstanceOf(DeadlineError);
  connection.close();
  await expect(StreamConnection.open(network.through(servers.url), 'test', 100)).rejects.toBeInstanceOf(
    Error,
  );
});

test('a broken connection stays broken and rejects the commands in flight', async () => {
  await using network = await startFaultyNetwork({ target: servers.url });
  const connection = await StreamConnection.open(network.through(servers.url), 'test', 5000);
  const key = `${servers.keyPrefix}list`;
  const blocked = connection.call('BLPOP', [key, 0], 60_000);
  network.cut();
  await expect(blocked).rejects.toThrow(/closed|ECONNRESET/u);
  await network.heal();
  await expect(connection.call('PING', [], 5000)).rejects.toThrow(/closed|ECONNRESET/u);
  connection.close();
});

test('an unreachable server rejects at once', async () => {
  await expect(StreamConnection.open('redis://127.0.0.1:1', 'test', 5000)).rejects.toThrow(
    /ECONNREFUSED|closed/u,
  );
});
