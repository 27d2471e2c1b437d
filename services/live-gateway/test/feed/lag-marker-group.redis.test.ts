import { encodeFields } from '@app/shared/entry';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { fixOf, newDevice } from '../support/open-fixture.ts';
import { destroyLagMarkers, removeStaleLagMarkers, setLagMarker } from '../../src/feed/lag-marker-group.ts';
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
  return { redis, stream, add, groups };
}

test('the bookmark shows the place and its lag, is made again when it is lost, and gone after a clean exit', async () => {
  const { redis, stream, add, groups } = await openStream();
  for (const id of ['1000-0', '2000-0', '3000-0', '4000-0']) await add(id);
  const place = new StreamCursor(stream);
  place.locate(await readStreamInfo(redis, stream), 1_500);
  place.advance(['3000-0', '4000-0']);
  await add('5000-0');
  await add('6000-0');
  place.advance(['5000-0']);
  await setLagMarker(redis, 'live-broadcast-a', place);
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
  place.advance(['6000-0']);
  await setLagMarker(redis, 'live-broadcast-a', place);
  expect((await groups()).get('live-broadcast-a')?.get('lag')).toBe(0);
  await destroyLagMarkers(redis, 'live-broadcast-a', [stream, `${stream}:none`]);
  expect((await groups()).size).toBe(0);
});

test('a stream that does not exist gets no bookmark, and is not made by one', async () => {
  const { redis, stream } = await openStream();
  const place = new StreamCursor(stream);
  const info = await readStreamInfo(redis, stream);
  expect(info).toMatchObject({ exists: false, lastGeneratedId: '0-0' });
  place.locate(info, 1_000);
  await setLagMarker(redis, 'live-broadcast-a', place);
  expect(await redis.exists(stream)).toBe(0);
});

test('bookmarks of gateways that died an hour of stream ago are removed, others are not', async () => {
  const { redis, stream, add, groups } = await openStream();
  await add('1000-0');
  for (const name of ['live-broadcast-dead', 'processor'])
    await redis.xgroup('CREATE', stream, name, '1000-0');
  await add('3700000-0');
  await redis.xgroup('CREATE', stream, 'live-broadcast-alive', '3700000-0');
  expect(await removeStaleLagMarkers(redis, stream, '3700000-0', 'live-broadcast-')).toEqual([
    'live-broadcast-dead',
  ]);
  expect(new Set((await groups()).keys())).toEqual(new Set(['processor', 'live-broadcast-alive']));
});

test('the lag is the age of the first entry that is not applied', async () => {
  const { redis, stream, add } = await openStream();
  await add('1000-0');
  const place = new StreamCursor(stream);
  expect(await measureLagSeconds(redis, place, 9_000)).toBeNaN();
  place.locate(await readStreamInfo(redis, stream), 0);
  place.advance(['1000-0']);
  expect(await measureLagSeconds(redis, place, 9_000)).toBe(0);
  await add('5000-0');
  await add('8000-0');
  expect(await measureLagSeconds(redis, place, 9_000)).toBe(4);
  // A backlog that is being read moves on while it is looked at, and is one all the same.
  const measuring = measureLagSeconds(redis, place, 9_000);
  place.advance(['5000-0']);
  expect(await measuring).toBe(4);
  place.advance(['8000-0']);
  expect(await measureLagSeconds(redis, place, 9_000)).toBe(0);
});
