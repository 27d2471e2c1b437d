import { seedEvent } from '@app/test-kit/directus-tables';
import { describe, expect, test } from 'vitest';
import { fixOf, newDevice, openFixture } from '../support/open-fixture.ts';
import { connect } from '../support/viewer.ts';

describe('a viewer of an event', () => {
  test('gets the snapshot and then live positions', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(3);
    const [stored, streamed, silent] = devices;
    if (stored === undefined || streamed === undefined || silent === undefined) throw new Error('no devices');
    const storedFix = fixOf(stored, { fixAtMs: Date.now() - 3_600_000, speedKmh: 0 });
    await fixture.store(storedFix);
    const streamedFix = fixOf(streamed, { fixAtMs: Date.now() - 5_000 });
    await fixture.publish(streamedFix);
    const gateway = await fixture.start();
    await gateway.ready();
    const { session } = fixture.addViewer(eventId);
    using viewer = await connect(gateway.wsUrl, { session });
    viewer.send({ type: 'subscribe', id: 'first', topic: `event:${eventId}` });
    const subscribed = await viewer.next('subscribed');
    expect(subscribed.id).toBe('first');
    expect(subscribed.degraded).toBeUndefined();
    expect(new Map(subscribed.snapshot.map((row) => [row.deviceId, row.ts]))).toEqual(
      new Map([
        [stored.imei, storedFix.fixAtMs],
        [streamed.imei, streamedFix.fixAtMs],
      ]),
    );
    const fix = fixOf(silent, { latitude: -33.86, speedKmh: 0 });
    await fixture.publish(fix);
    const position = await viewer.next('position');
    expect(position).toEqual({
      type: 'position',
      topic: `event:${eventId}`,
      deviceId: silent.imei,
      lat: -33.86,
      lon: 8.25,
      ts: fix.fixAtMs,
      speed: 0,
      course: 90,
      altitude: 512,
    });
  });

  test('gets the devices that do not fit into the snapshot frame as positions', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(700);
    const fixAtMs = Date.now() - 10_000;
    for (const device of devices) await fixture.publish(fixOf(device, { fixAtMs }));
    const gateway = await fixture.start();
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    const { snapshot } = await viewer.next('subscribed');
    expect(snapshot.length).toBeGreaterThan(300);
    expect(snapshot.length).toBeLessThan(700);
    await expect.poll(() => viewer.messages.length - 1, { timeout: 5_000 }).toBe(700 - snapshot.length);
    const received = new Set(snapshot.map(({ deviceId }) => deviceId));
    for (const message of viewer.messages) if (message.type === 'position') received.add(message.deviceId);
    expect(received).toEqual(new Set(devices.map(({ imei }) => imei)));
  });

  test('gets no position for a late, duplicate, flagged or unassigned fix, nor for an undecodable entry', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const [device] = devices;
    if (device === undefined) throw new Error('no device');
    const gateway = await fixture.start();
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    await viewer.next('subscribed');
    const nowMs = Date.now();
    await fixture.publish(fixOf(device, { fixAtMs: nowMs }));
    expect((await viewer.next('position')).ts).toBe(nowMs);
    await fixture.publish(fixOf(device, { fixAtMs: nowMs - 1 }));
    await fixture.publish(fixOf(device, { fixAtMs: nowMs, latitude: 1 }));
    await fixture.publish(fixOf(device, { fixAtMs: nowMs + 1, satellites: 0 }));
    await fixture.publish(fixOf(device, { fixAtMs: nowMs + 2, latitude: 0, longitude: 0 }));
    await fixture.publish(fixOf(device, { fixAtMs: nowMs + 300_000 }));
    await fixture.publish(fixOf(newDevice(), { fixAtMs: nowMs }));
    await fixture.redis.xadd(fixture.stream, '*', 'payload', '{"device_id":', 'codec', '8');
    await fixture.publish(fixOf(device, { fixAtMs: nowMs + 3 }));
    expect((await viewer.next('position')).ts).toBe(nowMs + 3);
    const results = { newest: 2, not_newer: 2, flagged: 3, orphan: 1, undecodable: 1 };
    for (const [result, count] of Object.entries(results)) {
      expect(await gateway.metric('live_stream_entries_total', { result })).toBe(count);
    }
    expect(await gateway.metric('live_orphan_records_total')).toBe(1);
  });

  test('gets the position of a device added to the event, and the previous fix after one was marked faulty', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const [device] = devices;
    const { devices: others } = await fixture.addEvent(1);
    const [added] = others;
    if (device === undefined || added === undefined) throw new Error('no device');
    const nowMs = Date.now();
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 2_000 }));
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 1_000 }));
    await fixture.store(fixOf(added, { fixAtMs: nowMs - 3_000 }));
    const gateway = await fixture.start();
    await gateway.ready();
    using viewer = await connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    expect((await viewer.next('subscribed')).snapshot.map(({ ts }) => ts)).toEqual([nowMs - 1_000]);
    await seedEvent(fixture.sql, { eventId, devices: [added] });
    expect(await viewer.next('position')).toMatchObject({ deviceId: added.imei, ts: nowMs - 3_000 });
    await fixture.sql`update positions set faulty = true where device_id = ${device.imei} and ts > ${new Date(nowMs - 1_500)}`;
    expect(await viewer.next('position')).toMatchObject({ deviceId: device.imei, ts: nowMs - 2_000 });
  });

  test('gets the newest position at any rate, and may change its rate', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const [device] = devices;
    if (device === undefined) throw new Error('no device');
    const topic = `event:${eventId}`;
    const gateway = await fixture.start({ env: { LIVE_TICK_MS: '50' } });
    await gateway.ready();
    const { session } = fixture.addViewer(eventId);
    using changing = await connect(gateway.wsUrl, { session });
    using slow = await connect(gateway.wsUrl, { session });
    for (const viewer of [changing, slow]) {
      viewer.send({ type: 'subscribe', topic, maxHz: 2.5 });
      await viewer.next('subscribed');
    }
    changing.send({ type: 'update', id: 'u', topic, maxHz: 20 });
    expect(await changing.next('updated')).toEqual({ type: 'updated', id: 'u', topic });
    const startMs = Date.now();
    for (let n = 1; n <= 60; n += 1) await fixture.publish(fixOf(device, { fixAtMs: startMs + n }));
    for (const viewer of [changing, slow]) await viewer.next('position', ({ ts }) => ts === startMs + 60);
  });

  test('may set and remove a box, and then gets the positions that become visible', async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(2);
    const [inside, outside] = devices;
    if (inside === undefined || outside === undefined) throw new Error('no devices');
    const topic = `event:${eventId}`;
    const gateway = await fixture.start({ env: { LIVE_TICK_MS: '50' } });
    await gateway.ready();
    const { session } = fixture.addViewer(eventId);
    using viewer = await connect(gateway.wsUrl, { session });
    using other = await connect(gateway.wsUrl, { session });
    for (const each of [viewer, other]) {
      each.send({ type: 'subscribe', topic, maxHz: 20 });
      await each.next('subscribed');
    }
    viewer.send({ type: 'update', id: 1, topic, bbox: [0, 0, 10, 20] });
    expect(await viewer.next('updated')).toEqual({ type: 'updated', id: 1, topic });
    await fixture.publish(fixOf(outside, { latitude: 10, longitude: 50 }));
    await other.next('position');
    await fixture.publish(fixOf(inside, { latitude: 10, longitude: 5 }));
    expect(await viewer.next('position')).toMatchObject({ deviceId: inside.imei, lon: 5 });
    viewer.send({ type: 'update', id: 2, topic, bbox: null });
    expect(await viewer.next('updated')).toMatchObject({ id: 2 });
    expect(await viewer.next('position')).toMatchObject({ deviceId: outside.imei, lon: 50 });
    expect(viewer.messages.filter(({ type }) => type === 'position')).toHaveLength(2);
  });
});
