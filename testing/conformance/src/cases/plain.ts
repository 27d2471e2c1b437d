import { deepEqual, equal, ok } from 'node:assert/strict';
import type { Position } from '@app/shared/position';
import { connect } from '../client.ts';
import type { Client, MessageOf } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { Device, Target, TestEvent } from '../target.ts';
import { deviceAt } from './known-event.ts';

function toPlain(device: Device, fix: Position): Readonly<Record<string, unknown>> {
  return {
    deviceId: device.imei,
    lat: fix.latitude,
    lon: fix.longitude,
    ts: fix.fixAtMs,
    speed: fix.speedKmh,
    course: fix.courseDeg,
    altitude: fix.altitudeM,
  };
}

/** Subscribes and waits for the reply. */
async function subscribePlain(target: Target, event: TestEvent, view: object = {}): Promise<Client<'plain'>> {
  const client = await connect(target, 'plain', event.session);
  await client.send({ type: 'subscribe', topic: event.topic, ...view });
  await client.next('subscribed');
  return client;
}

function snapshotOf(client: Client<'plain'>): MessageOf<'plain', 'subscribed'>['snapshot'] {
  return client.all('subscribed').flatMap(({ snapshot }) => snapshot);
}

function devicesOf(client: Client<'plain'>): ReadonlySet<string> {
  return new Set([...snapshotOf(client), ...client.all('position')].map(({ deviceId }) => deviceId));
}

export const plainCases = [
  defineCase(
    'plain: subscribed has a snapshot with the newest known position of each device',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent();
      const [known, other] = [deviceAt(event, 0), deviceAt(event, 1)];
      await event.publish(known, { fixAtMs: Date.now() - 5_000 });
      const expected = [
        toPlain(known, await event.publish(known)),
        toPlain(other, await event.publish(other, { latitude: -1.5 })),
      ];
      using watcher = await subscribePlain(target, event);
      const received = (position: (typeof expected)[number]): boolean =>
        [...snapshotOf(watcher), ...watcher.all('position')].some(
          ({ ts, deviceId }) => ts === position['ts'] && deviceId === position['deviceId'],
        );
      await watcher.until('both positions were received', () => expected.every(received), target.refreshMs);
      using client = await subscribePlain(target, event);
      equal(client.all('subscribed')[0]?.topic, event.topic);
      deepEqual(
        snapshotOf(client).toSorted((a, b) => b.lat - a.lat),
        expected,
      );
    },
    { covers: ['message subscribed'] },
  ),
  defineCase(
    'plain: a position has the IMEI, degrees, the fix time in ms and the known fields; 0 is sent as 0',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent();
      const device = deviceAt(event, 0);
      using client = await subscribePlain(target, event, { maxHz: 20 });
      const zeros = { latitude: 0, longitude: -179.5, speedKmh: 0, courseDeg: 0, altitudeM: 0 };
      const fix = await event.publish(device, zeros);
      const position = await client.next('position', () => true, target.refreshMs);
      deepEqual(position, { type: 'position', topic: event.topic, ...toPlain(device, fix) });
    },
    { covers: ['message position'] },
  ),
  defineCase('plain: an event without positions has an empty snapshot', ['openTestEvent'], async (target) => {
    await using event = await target.openTestEvent();
    using client = await subscribePlain(target, event);
    deepEqual(snapshotOf(client), []);
  }),
  defineCase(
    'plain: after unsubscribed no position of the topic is sent',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent();
      const device = deviceAt(event, 0);
      using client = await subscribePlain(target, event, { maxHz: 20 });
      using other = await subscribePlain(target, event, { maxHz: 20 });
      const shown = await event.publish(device);
      for (const each of [client, other])
        await each.next('position', ({ ts }) => ts === shown.fixAtMs, target.refreshMs);
      await client.send({ type: 'unsubscribe', topic: event.topic });
      await client.next('unsubscribed');
      const hidden = await event.publish(device);
      await other.next('position', ({ ts }) => ts === hidden.fixAtMs);
      await client.roundTrip();
      ok(!client.all('position').some(({ ts }) => ts === hidden.fixAtMs), 'received a position');
    },
  ),
  defineCase(
    'plain: a large snapshot is one frame of at most 64 KiB, and position messages follow for the rest',
    ['openTestEvent'],
    async (target) => {
      const count = 700;
      await using event = await target.openTestEvent({ deviceCount: count });
      for (const device of event.devices) await event.publish(device);
      using watcher = await subscribePlain(target, event);
      await watcher.until(
        'all positions were received',
        () => devicesOf(watcher).size === count,
        target.refreshMs + target.answerMs,
      );
      using client = await subscribePlain(target, event);
      const frame = client.received.find(({ message }) => message.type === 'subscribed');
      ok(frame !== undefined && frame.bytes <= 65_536, `a frame of ${frame?.bytes} bytes`);
      ok(snapshotOf(client).length < count, 'all positions in one frame');
      await client.until('the remaining positions were received', () => devicesOf(client).size === count);
      equal(snapshotOf(client).length + client.all('position').length, count, 'a device was sent twice');
    },
  ),
  defineCase(
    'plain: while the database does not answer, the snapshot is empty and degraded is true',
    ['session', 'eventId', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({
        POSTGRES_URL: 'postgres://nobody@127.0.0.1:1/none',
      });
      using client = await connect(target, 'plain', target.session, { url: replica.url });
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      const { snapshot, degraded } = await client.next('subscribed');
      deepEqual([snapshot, degraded], [[], true]);
    },
    { schedule: 'parallel' },
  ),
];
