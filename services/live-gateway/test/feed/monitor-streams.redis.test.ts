import { createLog } from '@app/runtime/log';
import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { LagMarkers } from '../../src/feed/lag-markers.ts';
import { monitorStreams } from '../../src/feed/monitor-streams.ts';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { readStreamInfo } from '../../src/feed/stream-info.ts';
import { fixOf, newDevice } from '../support/open-fixture.ts';

/** Monitors two streams of a Redis of its own; `lags` has the last lag of each, `errors` its last error. */
async function monitorTwo() {
  const server = await startOwnRedis({ keepsData: false });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const redis = new Redis(server.url, { maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  onTestFinished(() => redis.disconnect());
  const streams = ['first', 'second'];
  const cursors = streams.map((stream) => new StreamCursor(stream));
  for (const cursor of cursors) {
    await redis.xadd(cursor.stream, '*', ...encodeFields({ position: fixOf(newDevice()), codec: '8' }));
    cursor.relocate(await readStreamInfo(redis, cursor.stream), 0);
  }
  const log = createLog({ service: 'live-gateway', instanceId: 'a', level: 'silent' });
  const lags = new Map<string, number>();
  const errors = new Map<string, string>();
  const stop = new AbortController();
  const monitoring = monitorStreams(
    cursors,
    {
      redis,
      syncEpoch: () => Promise.resolve(false),
      lagMarkers: new LagMarkers(redis, 'live-broadcast', 'a', log),
      onRewound: () => undefined,
      onNewEpoch: () => undefined,
      onLag: (stream, lagSeconds) => lags.set(stream, lagSeconds),
      onIteration: (stream, error) => errors.set(stream, error instanceof Error ? error.message : ''),
      clocks: { nowMs: () => Date.now(), ageMs: (idMs) => Math.max(0, Date.now() - idMs) },
    },
    stop.signal,
  ).catch(() => undefined);
  onTestFinished(async () => {
    stop.abort();
    await monitoring;
  });
  await eventually(() => lags.size === 2);
  return { server, redis, lags, errors };
}

test('a stream that cannot be examined has an unknown lag, and the others have theirs', async () => {
  const { redis, lags, errors } = await monitorTwo();
  expect(lags.get('first')).toBeGreaterThanOrEqual(0);
  await redis.set('first', 'not a stream');
  await eventually(() => Number.isNaN(lags.get('first')));
  expect(errors.get('first')).toContain('WRONGTYPE');
  lags.clear();
  await eventually(() => lags.size === 2);
  expect(lags.get('first')).toBeNaN();
  expect(lags.get('second')).toBeGreaterThanOrEqual(0);
  expect(errors.get('second')).toBe('');
});

test('the lag is known while Redis refuses writes, and unknown while it does not answer', async () => {
  const { server, redis, lags, errors } = await monitorTwo();
  await redis.call('XGROUP', 'DESTROY', 'first', 'live-broadcast-a');
  await redis.config('SET', 'maxmemory', '1');
  await eventually(() => errors.get('first')?.startsWith('OOM') === true);
  lags.clear();
  await eventually(() => lags.size === 2);
  for (const lag of lags.values()) expect(lag).toBeGreaterThanOrEqual(0);
  await server.kill();
  await eventually(() => [...lags.values()].every((lag) => Number.isNaN(lag)), { timeoutMs: 15_000 });
});
