import { createLog } from '@app/runtime/log';
import { encodeFields } from '@app/shared/entry';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { fixOf, newDevice } from '../support/open-fixture.ts';
import { LagMarkers } from '../../src/feed/lag-markers.ts';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { measureLagSeconds } from '../../src/feed/measure-lag.ts';
import { readPairs, readStreamInfo } from '../../src/feed/stream-info.ts';

async function openStream() {
  const server = await startRedis();
  const redis = new Redis(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await server[Symbol.asyncDispose]();
  });
  const stream = `${server.keyPrefix}telemetry`;
  const add = async (id: string): Promise<void> => {
    await redis.xadd(stream, id, ...encodeFields({ position: fixOf(newDevice()), codec: '8' }));
  };
  const groups = async (): Promise<ReadonlyMap<unknown, ReadonlyMap<string, unknown>>> => {
    const reply = await redis.xinfo('GROUPS', stream);
    const all = Array.isArray(reply) ? reply.map(readPairs) : [];
    return new Map(all.map((group) => [group.get('name'), group]));
  };
  const log = createLog({ service: 'live-gateway', instanceId: 'a', level: 'silent' });
  const lagMarkers = new LagMarkers(redis, 'live-broadcast', 'a', log);
  return { redis, stream, add, groups, lagMarkers };
}

test('the lag-marker group shows the cursor and its lag, is recreated when lost, and deleted at exit', async () => {
  const { redis, stream, add, groups, lagMarkers } = await openStream();
  for (const id of ['1000-0', '2000-0', '3000-0', '4000-0']) await add(id);
  const cursor = new StreamCursor(stream);
  cursor.relocate(await readStreamInfo(redis, stream), 1_500);
  cursor.advance(['3000-0', '4000-0']);
  await add('5000-0');
  await add('6000-0');
  cursor.advance(['5000-0']);
  await lagMarkers.update(cursor, '6000-0');
  expect((await groups()).get('live-broadcast-a')).toEqual(
    new Map<string, unknown>([
      ['name', 'live-broadcast-a'],
      ['consumers', 0],
      ['pending', 0],
      ['last-delivered-id', '5000-0'],
      ['entries-read', 5],
      ['lag', 1],
    ]),
  );
  await redis.xgroup('DESTROY', stream, 'live-broadcast-a');
  cursor.advance(['6000-0']);
  await lagMarkers.update(cursor, '6000-0');
  expect((await groups()).get('live-broadcast-a')?.get('lag')).toBe(0);
  await lagMarkers.destroy([stream, `${stream}:none`]);
  expect((await groups()).size).toBe(0);
});

test('a missing stream gets no lag-marker group and is not created', async () => {
  const { redis, stream, lagMarkers } = await openStream();
  const cursor = new StreamCursor(stream);
  const info = await readStreamInfo(redis, stream);
  expect(info).toMatchObject({ exists: false, lastGeneratedId: '0-0' });
  cursor.relocate(info, 1_000);
  await lagMarkers.update(cursor, info.lastGeneratedId);
  expect(await redis.exists(stream)).toBe(0);
});

test('lag-marker groups more than an hour behind the stream are deleted, others are not', async () => {
  const { redis, stream, add, groups, lagMarkers } = await openStream();
  for (const id of ['1000-0', '1001-0', '3601001-0']) await add(id);
  await redis.xgroup('CREATE', stream, 'live-broadcast-dead', '1000-0');
  await redis.xgroup('CREATE', stream, 'live-broadcast-slow', '1001-0');
  await redis.xgroup('CREATE', stream, 'processor', '1000-0');
  const info = await readStreamInfo(redis, stream);
  const cursor = new StreamCursor(stream);
  cursor.relocate(info, 0);
  await lagMarkers.update(cursor, info.lastGeneratedId);
  expect(new Set((await groups()).keys())).toEqual(
    new Set(['processor', 'live-broadcast-slow', 'live-broadcast-a']),
  );
});

const ageMs = (idMs: number): number => 9_000 - idMs;

test('the lag is the age of the first entry that is not applied', async () => {
  const { redis, stream, add } = await openStream();
  await add('1000-0');
  const cursor = new StreamCursor(stream);
  expect(await measureLagSeconds(redis, cursor, ageMs)).toBeNaN();
  cursor.relocate(await readStreamInfo(redis, stream), 0);
  cursor.advance(['1000-0']);
  expect(await measureLagSeconds(redis, cursor, ageMs)).toBe(0);
  await add('5000-0');
  await add('8000-0');
  expect(await measureLagSeconds(redis, cursor, ageMs)).toBe(4);
  // The cursor moves while Redis answers: there is still a lag.
  const measuring = measureLagSeconds(redis, cursor, ageMs);
  cursor.advance(['5000-0']);
  expect(await measuring).toBe(4);
  cursor.advance(['8000-0']);
  expect(await measureLagSeconds(redis, cursor, ageMs)).toBe(0);
});
