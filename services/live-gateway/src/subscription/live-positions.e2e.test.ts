import { describe, expect, test } from 'vitest';
import { fixOf, openWorld } from '../testing/open-world.ts';
import { connect } from '../testing/viewer.ts';

describe('a viewer of an event', () => {
  test('gets the snapshot, then what comes over the stream within a second', async () => {
    await using world = await openWorld();
    const { eventId, devices } = await world.addEvent(3);
    const [stored, streamed, silent] = devices;
    if (stored === undefined || streamed === undefined || silent === undefined) throw new Error('no devices');
    const storedFix = fixOf(stored, { fixAtMs: Date.now() - 3_600_000, speedKmh: 0 });
    await world.store(storedFix);
    const streamedFix = fixOf(streamed, { fixAtMs: Date.now() - 5_000 });
    await world.publish(streamedFix);
    const gateway = await world.start();
    await gateway.ready();
    const { session } = world.addViewer(eventId);
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
    const publishedAtMs = performance.now();
    const fix = fixOf(silent, { latitude: -33.86, speedKmh: 0 });
    await world.publish(fix);
    const position = await viewer.next('position');
    expect(performance.now() - publishedAtMs).toBeLessThan(1000);
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
});
