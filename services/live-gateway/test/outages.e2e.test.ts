import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnRedis } from '@app/test-kit/redis';
import { describe, expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connectBatched, shownFixTimes, subscribe } from './support/viewer.ts';

function hasLogged({ log }: RunningGateway, beginning: string): boolean {
  return log.some(({ msg }) => String(msg).startsWith(beginning));
}

async function readiness(opsUrl: string): Promise<string> {
  const response = await fetch(`${opsUrl}/readyz`);
  return `${response.status} ${(await response.text()).trim()}`;
}

describe('without Postgres', () => {
  test('a gateway starts unready, answers degraded, and recovers once Postgres answers', async () => {
    await using fixture = await openFixture();
    await using network = await startFaultyNetwork({ target: fixture.postgresUrl });
    await network.refuse();
    const { eventId, devices } = await fixture.addEvent(1);
    const stored = fixOf(deviceAt(devices), { fixAtMs: Date.now() - 60_000 });
    await fixture.store(stored);
    const gateway = await fixture.start({ postgresUrl: network.through(fixture.postgresUrl) });
    using viewer = await subscribe(gateway, fixture, eventId);
    expect(await viewer.next('subscribed')).toMatchObject({ snapshot: [], degraded: true });
    expect(await readiness(gateway.opsUrl)).toContain('503 waiting for: assignments');
    expect((await fetch(`${gateway.opsUrl}/healthz`)).status).toBe(200);

    await network.heal();
    expect(await viewer.next('position', undefined, 10_000)).toMatchObject({ ts: stored.fixAtMs });
    await gateway.ready();
    using late = await subscribe(gateway, fixture, eventId);
    const subscribed = await late.next('subscribed');
    expect(subscribed.degraded).toBeUndefined();
    expect(subscribed.snapshot).toHaveLength(1);
  });

  test('a running gateway keeps its assignments, stays ready, and finds new devices afterwards', async () => {
    await using fixture = await openFixture();
    await using network = await startFaultyNetwork({ target: fixture.postgresUrl });
    const { eventId, devices } = await fixture.addEvent(1);
    const gateway = await fixture.start({ postgresUrl: network.through(fixture.postgresUrl) });
    await gateway.ready();
    await network.refuse();
    network.cut();
    await eventually(() => hasLogged(gateway, 'Postgres refresh failed'));
    using viewer = await subscribe(gateway, fixture, eventId);
    expect((await viewer.next('subscribed')).degraded).toBeUndefined();
    await fixture.publish(fixOf(deviceAt(devices)));
    await viewer.next('position');
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');
    const other = await fixture.addEvent(1);
    await fixture.sql`update entries set event_id = ${eventId} where event_id = ${other.eventId}`;
    await network.heal();
    const joined = deviceAt(other.devices);
    await eventually(() => hasLogged(gateway, 'Postgres refresh recovered'), { timeoutMs: 10_000 });
    await fixture.publish(fixOf(joined));
    await viewer.next('position', (position) => position.deviceId === joined.imei, 10_000);
  });
});

test('a gateway that can read assignments but no latest fixes is ready, and answers degraded', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(1);
  const stored = fixOf(deviceAt(devices), { fixAtMs: Date.now() - 60_000 });
  await fixture.store(stored);
  await fixture.sql`alter table positions rename to positions_away`;
  const gateway = await fixture.start();
  await gateway.ready();
  using viewer = await subscribe(gateway, fixture, eventId);
  expect(await viewer.next('subscribed')).toMatchObject({ snapshot: [], degraded: true });
  // Fixes from the stream are shown at once, fixes from Postgres once it can be read.
  const live = fixOf(deviceAt(devices));
  await fixture.publish(live);
  await viewer.next('position', (position) => position.ts === live.fixAtMs);
  const second = await fixture.addEvent(1);
  const secondStored = fixOf(deviceAt(second.devices), { fixAtMs: Date.now() - 60_000 });
  await fixture.sql`alter table positions_away rename to positions`;
  await fixture.store(secondStored);
  using other = await subscribe(gateway, fixture, second.eventId);
  const { snapshot } = await other.next('subscribed');
  if (snapshot.length === 0) await other.next('position', ({ ts }) => ts === secondStored.fixAtMs, 15_000);
  expect((await fetch(`${gateway.opsUrl}/healthz`)).status).toBe(200);
});

describe('without Redis', () => {
  test('a gateway is unready until Redis starts, and keeps reading after a restart, with or without the stream', async () => {
    await using redis = await startOwnRedis({ keepsData: true });
    await using fixture = await openFixture({ redisUrl: redis.url });
    const { eventId, devices } = await fixture.addEvent(1);
    const device = deviceAt(devices);
    await redis.stop();
    const gateway = await fixture.start();
    await expect.poll(() => readiness(gateway.opsUrl)).toContain('to catch up');
    await redis.start();
    await gateway.ready();
    using viewer = await subscribe(gateway, fixture, eventId);
    await viewer.next('subscribed');
    await redis.kill();
    await redis.start();
    const afterKill = fixOf(device);
    await fixture.publish(afterKill);
    await viewer.next('position', (position) => position.ts === afterKill.fixAtMs, 15_000);
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');

    await fixture.redis.flushall();
    // Its id is lower than all earlier ones: only a gateway that has detected the rewind reads it.
    const afterFlush = fixOf(device, { fixAtMs: Date.now() });
    await eventually(() => hasLogged(gateway, 'stream rewound'), { timeoutMs: 10_000 });
    await fixture.publish(afterFlush);
    await viewer.next('position', (position) => position.ts === afterFlush.fixAtMs, 15_000);
  });

  test('after a kill of Redis during fan-out 20 batched viewers end with the newest positions', async () => {
    await using redis = await startOwnRedis({ keepsData: true });
    await using fixture = await openFixture({ redisUrl: redis.url });
    const { eventId, devices } = await fixture.addEvent(20);
    const gateway = await fixture.start();
    await gateway.ready();
    const { session } = fixture.addViewer(eventId);
    const viewers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const viewer = await connectBatched(gateway.wsUrl, { session });
        // Half of them with a box that contains all devices.
        const bbox = n % 2 === 0 ? { bbox: [-180, -90, 180, 90] } : {};
        viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20, ...bbox });
        await viewer.next('snapshot', ({ last }) => last === true);
        return viewer;
      }),
    );
    let fixAtMs = Date.now() - 600_000;
    const moveAll = async (): Promise<void> => {
      fixAtMs += 1_000;
      await Promise.all(devices.map((device) => fixture.publish(fixOf(device, { fixAtMs }))));
    };
    for (let round = 0; round < 20; round += 1) await moveAll();
    await redis.kill();
    await redis.start();
    for (let round = 0; round < 20; round += 1) await moveAll();
    for (const viewer of viewers) {
      await eventually(
        () => [...shownFixTimes(viewer).values()].filter((ts) => ts === fixAtMs).length === devices.length,
        { timeoutMs: 20_000 },
      );
      expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    }
    for (const viewer of viewers) viewer[Symbol.dispose]();
  });

  test('a half-open connection is replaced, and no entry is lost', async () => {
    await using fixture = await openFixture();
    await using network = await startFaultyNetwork({ target: fixture.redisUrl });
    const { eventId, devices } = await fixture.addEvent(1);
    const gateway = await fixture.start({ redisUrl: network.through(fixture.redisUrl) });
    await gateway.ready();
    using viewer = await subscribe(gateway, fixture, eventId);
    await viewer.next('subscribed');
    network.halfOpen();
    const fix = fixOf(deviceAt(devices));
    await fixture.publish(fix);
    await viewer.next('position', (position) => position.ts === fix.fixAtMs, 15_000);
    expect(hasLogged(gateway, 'stream read failed')).toBe(true);
  });
});

describe('without Directus', () => {
  test('connected viewers keep receiving positions', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const gateway = await fixture.start();
    await gateway.ready();
    using viewer = await subscribe(gateway, fixture, eventId);
    await viewer.next('subscribed');
    fixture.directus.misbehave('refuse');
    const fix = fixOf(deviceAt(devices));
    await fixture.publish(fix);
    await viewer.next('position', (position) => position.ts === fix.fixAtMs);
    expect(await readiness(gateway.opsUrl)).toBe('200 ok');
  });
});
