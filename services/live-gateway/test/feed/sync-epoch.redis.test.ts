import { createLog } from '@app/runtime/log';
import { failSnapshots } from '@app/test-kit/fail-snapshots';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { newEpoch } from '../../src/feed/epoch.ts';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { createSyncEpoch } from '../../src/feed/sync-epoch.ts';
import { Timeline } from '../../src/feed/timeline.ts';

const own = await startOwnRedis();
const redis = new Redis(own.url);

afterAll(async () => {
  redis.disconnect();
  await own[Symbol.asyncDispose]();
});

const refusals: readonly [string, () => Promise<() => Promise<unknown>>][] = [
  [
    'is at its memory limit',
    async () => {
      await redis.config('SET', 'maxmemory', '1');
      return () => redis.config('SET', 'maxmemory', '0');
    },
  ],
  ['cannot save its data', () => failSnapshots(redis)],
];

function openGateway(stream: string) {
  const cursor = new StreamCursor(stream);
  const timeline = new Timeline([cursor], () => newEpoch(1));
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => lines.push(JSON.parse(line)) };
  const log = createLog({ service: 'gateway', instanceId: 'test', level: 'info', destination });
  const syncEpoch = createSyncEpoch(redis, timeline, log);
  return { cursor, timeline, sync: () => syncEpoch(cursor, 2), messages: () => lines.map(({ msg }) => msg) };
}

test.for(refusals)('while Redis %s an epoch that exists is read', async ([what, refuse]) => {
  const stream = `telemetry:exists ${what}`;
  const first = openGateway(stream);
  await first.sync();
  const heal = await refuse();
  const second = openGateway(stream);
  expect(await second.sync()).toBe(true);
  expect(second.timeline.epoch).toBe(first.timeline.epoch);
  expect(second.messages()).toEqual([]);
  await heal();
});

test.for(refusals)(
  'while Redis %s a gateway uses an epoch of its own where none exists or it must be replaced',
  async ([what, refuse]) => {
    const stream = `telemetry:none ${what}`;
    const heal = await refuse();
    const gateway = openGateway(stream);
    const { epoch } = gateway.timeline;
    for (let n = 0; n < 2; n += 1) expect(await gateway.sync()).toBe(false);
    expect(gateway.timeline.epoch).toBe(epoch);
    const warning =
      'Redis refuses to write the shared epoch; clients resume on this replica only until it does';
    expect(gateway.messages()).toEqual([warning]);
    await heal();
    expect(await gateway.sync()).toBe(true);
    expect(gateway.messages()).toEqual([warning, 'shared epoch written again']);

    // The stream is rewound while Redis refuses writes.
    const shared = gateway.timeline.epoch;
    const healAgain = await refuse();
    gateway.timeline.invalidateEpoch(gateway.cursor);
    expect(await gateway.sync()).toBe(false);
    await healAgain();
    expect(await gateway.sync()).toBe(true);
    expect(gateway.timeline.epoch).not.toBe(shared);
    expect(gateway.timeline.epoch).toBe(await redis.get(`${stream}:live-epoch`));
  },
);
