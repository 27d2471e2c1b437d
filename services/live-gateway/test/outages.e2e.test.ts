import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis } from '@app/test-kit/redis';
import { describe, expect, test } from 'vitest';
import { fixOf, openFixture } from './support/open-fixture.ts';
import type { TestDevice } from './support/open-fixture.ts';
import { connect, connectBatched } from './support/viewer.ts';

function firstOf(devices: readonly TestDevice[]): TestDevice {
  const [device] = devices;
  if (device === undefined) throw new Error('no device');
  return device;
}

async function readiness(opsUrl: string): Promise<string> {
  const response = await fetch(`${opsUrl}/readyz`);
  return `${response.status} ${(await response.text()).trim()}`;
}

describe('without Postgres', () => {
  test('a gateway starts, says what it waits for, answers degraded, and makes up for it later', async () => {
    await using world = await openFixture();
    await using network = await startFaultyNetwork({ target: world.postgresUrl });
    await network.refuse();
    const { eventId, devices } = await world.addEvent(1);
    const stored = fixOf(firstOf(devices), { fixAtMs: Date.now() - 60_000 });
    await world.store(stored);
    const gateway = await world.start({ postgresUrl: network.through(world.postgresUrl) });
    using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    expect(await viewer.next('subscribed')).toMatchObject({ snapshot: [], degraded: true });
    expect(await readiness(gateway.opsUrl)).toContain('503 waiting for: assignments');
    expect((await fetch(`${gateway.opsUrl}/healthz`)).status).toBe(200);

    await network.heal();
    expect(await viewer.next('position', undefined, 10_000)).toMatchObject({ ts: stored.fixAtMs });
    await gateway.ready();
    using late = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    late.send({ type: 'subscribe', topic: `event:${eventId}` });
    const subscribed = await late.next('subscribed');
    expect(subscribed.degraded).toBeUndefined();
    expect(subscribed.snapshot).toHaveLength(1);
  });

  test('a running gateway goes on with the last good assignments, stays ready, and finds new devices afterwards', async () => {
    await using world = await openFixture();
    await using network = await startFaultyNetwork({ target: world.postgresUrl });
    const { eventId, devices } = await world.addEvent(1);
    const gateway = await world.start({ postgresUrl: network.through(world.postgresUrl) });
    await gateway.ready();
    await network.refuse();
    network.cut();
    await expect
      .poll(() => gateway.log.some(({ level, msg }) => level === 'warn' && String(msg).includes('Postgres')))
      .toBe(true);
    using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    expect((await viewer.next('subscribed')).degraded).toBeUndefined();
    await world.publish(fixOf(firstOf(devices)));
    await viewer.next('position');
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');
    const other = await world.addEvent(1);
    await world.sql`update entries set event_id = ${eventId} where event_id = ${other.eventId}`;
    await network.heal();
    const joined = firstOf(other.devices);
    await expect
      .poll(() => gateway.log.some(({ msg }) => String(msg).startsWith('Postgres refresh recovered')), {
        timeout: 10_000,
      })
      .toBe(true);
    await world.publish(fixOf(joined));
    await viewer.next('position', (position) => position.deviceId === joined.imei, 10_000);
  });
});

test('where only the last fixes cannot be read a gateway is ready all the same, and answers degraded', async () => {
  await using world = await openFixture();
  const { eventId, devices } = await world.addEvent(1);
  const stored = fixOf(firstOf(devices), { fixAtMs: Date.now() - 60_000 });
  await world.store(stored);
  await world.sql`alter table positions rename to positions_away`;
  const gateway = await world.start();
  await gateway.ready();
  using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  expect(await viewer.next('subscribed')).toMatchObject({ snapshot: [], degraded: true });
  // What the stream brings is shown, and what Postgres has as soon as it can be read.
  const live = fixOf(firstOf(devices));
  await world.publish(live);
  await viewer.next('position', (position) => position.ts === live.fixAtMs);
  const second = await world.addEvent(1);
  const secondStored = fixOf(firstOf(second.devices), { fixAtMs: Date.now() - 60_000 });
  await world.sql`alter table positions_away rename to positions`;
  await world.store(secondStored);
  using other = await connect(gateway.wsUrl, { session: world.addViewer(second.eventId).session });
  other.send({ type: 'subscribe', topic: `event:${second.eventId}` });
  const { snapshot } = await other.next('subscribed');
  if (snapshot.length === 0) await other.next('position', ({ ts }) => ts === secondStored.fixAtMs, 15_000);
  expect((await fetch(`${gateway.opsUrl}/healthz`)).status).toBe(200);
});

describe('without Redis', () => {
  test('a gateway waits for it, and the feed goes on after a restart, whether the stream is still there or not', async () => {
    await using redis = await startOwnRedis({ keepsData: true });
    await using world = await openFixture({ redisUrl: redis.url });
    const { eventId, devices } = await world.addEvent(1);
    const device = firstOf(devices);
    await redis.stop();
    const gateway = await world.start();
    await expect.poll(() => readiness(gateway.opsUrl)).toContain('to catch up');
    await redis.start();
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    await viewer.next('subscribed');
    await redis.kill();
    await redis.start();
    const afterKill = fixOf(device);
    await world.publish(afterKill);
    await viewer.next('position', (position) => position.ts === afterKill.fixAtMs, 15_000);
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');

    await world.redis.flushall();
    // An id below all that were there before: only one who has noticed finds it.
    const afterFlush = fixOf(device, { fixAtMs: Date.now() });
    await expect
      .poll(() => gateway.log.some(({ msg }) => String(msg).startsWith('stream rewound')), {
        timeout: 10_000,
      })
      .toBe(true);
    await world.publish(afterFlush);
    await viewer.next('position', (position) => position.ts === afterFlush.fixAtMs, 15_000);
  });

  test('that is killed under fan-out, twenty viewers of live.v1 end with the newest positions', async () => {
    await using redis = await startOwnRedis({ keepsData: true });
    await using world = await openFixture({ redisUrl: redis.url });
    const { eventId, devices } = await world.addEvent(20);
    const gateway = await world.start();
    await gateway.ready();
    const { session } = world.addViewer(eventId);
    const viewers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const viewer = await connectBatched(gateway.wsUrl, { session });
        // Half of them look through a box that holds them all.
        const bbox = n % 2 === 0 ? { bbox: [-180, -90, 180, 90] } : {};
        viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20, ...bbox });
        await viewer.next('snapshot', ({ last }) => last === true);
        return viewer;
      }),
    );
    let fixAtMs = Date.now() - 600_000;
    const moveAll = async (): Promise<void> => {
      fixAtMs += 1_000;
      await Promise.all(devices.map((device) => world.publish(fixOf(device, { fixAtMs }))));
    };
    for (let round = 0; round < 20; round += 1) await moveAll();
    await redis.kill();
    await redis.start();
    for (let round = 0; round < 20; round += 1) await moveAll();
    for (const viewer of viewers) {
      const told = (): number => {
        const newest = new Map<string, number>();
        for (const message of viewer.messages) {
          if (message.type !== 'positions' && message.type !== 'snapshot') continue;
          for (const [deviceId, , , ts] of message.rows) newest.set(deviceId, ts);
        }
        return [...newest.values()].filter((ts) => ts === fixAtMs).length;
      };
      await expect.poll(told, { timeout: 20_000 }).toBe(devices.length);
      expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    }
    for (const viewer of viewers) viewer[Symbol.dispose]();
  });

  test('a connection that is dead without a word is replaced, and no entry is lost', async () => {
    await using world = await openFixture();
    await using network = await startFaultyNetwork({ target: world.redisUrl });
    const { eventId, devices } = await world.addEvent(1);
    const gateway = await world.start({ redisUrl: network.through(world.redisUrl) });
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    await viewer.next('subscribed');
    network.halfOpen();
    const fix = fixOf(firstOf(devices));
    await world.publish(fix);
    await viewer.next('position', (position) => position.ts === fix.fixAtMs, 15_000);
    expect(
      gateway.log.some(({ level, msg }) => level === 'warn' && String(msg).startsWith('stream read failed')),
    ).toBe(true);
  });
});

describe('without Directus', () => {
  test('those who are connected go on watching', async () => {
    await using world = await openFixture();
    const { eventId, devices } = await world.addEvent(1);
    const gateway = await world.start();
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: world.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    await viewer.next('subscribed');
    world.directus.misbehave('refuse');
    const fix = fixOf(firstOf(devices));
    await world.publish(fix);
    await viewer.next('position', (position) => position.ts === fix.fixAtMs);
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');
  });
});
