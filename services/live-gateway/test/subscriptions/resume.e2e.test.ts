import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis } from '@app/test-kit/redis';
import { expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connectBatched } from '../support/viewer.ts';
import type { BatchedViewer } from '../support/viewer.ts';

function deviceIdsOf(message: { readonly rows: readonly (readonly unknown[])[] }): readonly string[] {
  return message.rows.map(([deviceId]) => String(deviceId)).toSorted();
}

function idsOf(...devices: readonly TestDevice[]): readonly string[] {
  return devices.map(({ id }) => id).toSorted();
}

interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/** The last epoch and the last cursor that the viewer was sent. */
function resumePointOf(viewer: BatchedViewer): ResumePoint {
  const epoch = viewer.messages.findLast((message) => message.type === 'subscribed')?.epoch;
  const cursor = viewer.messages.findLast((message) => 'cursor' in message && message.cursor !== undefined);
  if (epoch === undefined || cursor === undefined || !('cursor' in cursor)) throw new Error('no cursor yet');
  return { cursor: cursor.cursor ?? '', epoch };
}

/** Waits until the gateway shows a fix of this time. */
async function waitUntilShown(
  gateway: RunningGateway,
  session: string,
  topic: string,
  ts: number,
): Promise<void> {
  using viewer = await connectBatched(gateway.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic, maxHz: 20 });
  await waitForRow(viewer, ts);
}

async function waitForRow(viewer: BatchedViewer, ts: number): Promise<void> {
  await expect
    .poll(() => JSON.stringify(viewer.messages).includes(String(ts)), { timeout: 10_000 })
    .toBe(true);
}

test('a client that resumes on another gateway gets what it missed and nothing else', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(4);
  const topic = `event:${eventId}`;
  const [still, moved, stored, silent] = devices;
  if (still === undefined || moved === undefined || stored === undefined || silent === undefined)
    throw new Error('no devices');
  const startMs = Date.now() - 60_000;
  await fixture.store(fixOf(stored, { fixAtMs: startMs }));
  const [one, two] = await Promise.all([
    fixture.start({ instanceId: 'one' }),
    fixture.start({ instanceId: 'two' }),
  ]);
  await Promise.all([one.ready(), two.ready()]);
  const { session } = fixture.addViewer(eventId);

  const first = await connectBatched(one.wsUrl, { session });
  first.send({ type: 'subscribe', topic, maxHz: 20 });
  await first.next('snapshot');
  await fixture.publish(fixOf(still, { fixAtMs: startMs }));
  await fixture.publish(fixOf(moved, { fixAtMs: startMs }));
  await expect
    .poll(() => deviceIdsOf({ rows: first.messages.flatMap((m) => (m.type === 'positions' ? m.rows : [])) }))
    .toEqual(idsOf(still, moved));
  const point = resumePointOf(first);
  await one.kill();
  const missed = fixOf(moved, { fixAtMs: startMs + 5_000 });
  await fixture.publish(missed);
  await waitUntilShown(two, session, topic, missed.fixAtMs);

  using second = await connectBatched(two.wsUrl, { session });
  second.send({ type: 'subscribe', topic, maxHz: 20, ...point });
  expect(await second.next('subscribed')).toMatchObject({ recovered: true, epoch: point.epoch, devices: 4 });
  // Devices without a stream entry are dropped and sent again.
  expect((await second.next('devices')).removed.toSorted()).toEqual(idsOf(stored, silent));
  const missedRows = await second.next('positions');
  expect(deviceIdsOf(missedRows)).toEqual(idsOf(moved, stored));
  expect(missedRows.cursor).toEqual(expect.any(String));
  expect(second.messages.some(({ type }) => type === 'snapshot')).toBe(false);

  // With another box, another epoch or an invalid cursor it gets a whole snapshot.
  for (const changed of [
    { ...point, bbox: [0, 0, 1, 1] },
    { cursor: point.cursor, epoch: 'another' },
    { cursor: 'x/y', epoch: point.epoch },
    { cursor: '0-1/y', epoch: point.epoch },
  ]) {
    using other = await connectBatched(two.wsUrl, { session });
    other.send({ type: 'subscribe', topic, ...changed });
    expect((await other.next('subscribed')).recovered).toBe(false);
    expect((await other.next('snapshot', ({ last }) => last === true)).part).toBe(0);
  }
  expect(await two.metric('live_resumes_total', { outcome: 'recovered' })).toBe(1);
});

test('a gateway that is behind the cursor answers unavailable, and resumes once it has caught up', async () => {
  await using fixture = await openFixture();
  await using network = await startFaultyNetwork({ target: fixture.redisUrl });
  const { eventId, devices } = await fixture.addEvent(1);
  const topic = `event:${eventId}`;
  const [device] = devices;
  if (device === undefined) throw new Error('no device');
  await fixture.publish(fixOf(device, { fixAtMs: Date.now() - 60_000 }));
  const [ahead, behind] = await Promise.all([
    fixture.start({ instanceId: 'ahead' }),
    fixture.start({ instanceId: 'behind', redisUrl: network.through(fixture.redisUrl) }),
  ]);
  await Promise.all([ahead.ready(), behind.ready()]);
  const { session } = fixture.addViewer(eventId);
  const first = await connectBatched(ahead.wsUrl, { session });
  first.send({ type: 'subscribe', topic, maxHz: 20 });
  await first.next('snapshot');
  await network.refuse();
  network.cut();
  await fixture.publish(fixOf(device));
  await first.next('positions');
  const point = resumePointOf(first);

  using second = await connectBatched(behind.wsUrl, { session });
  second.send({ type: 'subscribe', id: 1, topic, ...point });
  const refusal = await second.next('error', undefined, 10_000);
  expect(refusal).toMatchObject({ id: 1, code: 'unavailable', temporary: true });
  expect(refusal.retryAfterMs).toBeGreaterThan(0);
  // Without a cursor it gets a snapshot: the client has nothing newer.
  second.send({ type: 'subscribe', topic });
  expect((await second.next('subscribed')).recovered).toBe(false);
  second.send({ type: 'unsubscribe', topic });
  await second.next('unsubscribed');
  await network.heal();
  await expect
    .poll(
      async () => {
        second.send({ type: 'subscribe', topic, ...point });
        const isRecovered = await Promise.any([
          second.next('subscribed').then(({ recovered }) => recovered),
          second.next('error').then(() => false),
        ]);
        return isRecovered;
      },
      { timeout: 20_000 },
    )
    .toBe(true);
});

test('after Redis was emptied every client gets a new snapshot, and older cursors are not resumed', async () => {
  await using redis = await startOwnRedis({ keepsData: true });
  await using fixture = await openFixture({ redisUrl: redis.url });
  const { eventId, devices } = await fixture.addEvent(1);
  const topic = `event:${eventId}`;
  const [device] = devices;
  if (device === undefined) throw new Error('no device');
  await fixture.publish(fixOf(device, { fixAtMs: Date.now() - 60_000 }));
  const [one, two] = await Promise.all([
    fixture.start({ instanceId: 'one' }),
    fixture.start({ instanceId: 'two' }),
  ]);
  await Promise.all([one.ready(), two.ready()]);
  const { session } = fixture.addViewer(eventId);
  using viewer = await connectBatched(one.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic, maxHz: 20 });
  const { epoch } = await viewer.next('subscribed');
  await viewer.next('snapshot');
  const point = resumePointOf(viewer);
  await fixture.redis.flushall();
  await viewer.next('resync', undefined, 10_000);
  expect((await viewer.next('snapshot')).rows).toHaveLength(1);
  // Both gateways agree on one new epoch.
  const epochAt = async (gateway: RunningGateway): Promise<string> => {
    using other = await connectBatched(gateway.wsUrl, { session });
    other.send({ type: 'subscribe', topic, ...point });
    const subscribed = await other.next('subscribed');
    expect(subscribed.recovered).toBe(subscribed.epoch === epoch);
    return subscribed.epoch;
  };
  await expect
    .poll(async () => new Set([epoch, await epochAt(one), await epochAt(two)]).size, { timeout: 10_000 })
    .toBe(2);
  const fix = fixOf(device);
  await fixture.publish(fix);
  // Perhaps in a snapshot: the new epoch causes another one at any time.
  await waitForRow(viewer, fix.fixAtMs);
});
