import { deepEqual, equal, ok } from 'node:assert/strict';
import type { Position } from '@app/shared/position';
import { connect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { Device } from '../target.ts';

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

function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('the test event has no device');
  return item;
}

export const plainCases = [
  defineCase(
    'plain: subscribed has a snapshot with the newest known position of each device',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent();
      const [known, other, silent] = event.devices;
      ok(known !== undefined && other !== undefined && silent !== undefined, 'too few devices');
      await event.publish(known, { fixAtMs: Date.now() - 5_000 });
      const expected = [
        toPlain(known, await event.publish(known)),
        toPlain(other, await event.publish(other, { latitude: -1.5 })),
      ];
      using watcher = await connect(target, 'plain', event.session);
      await watcher.send({ type: 'subscribe', topic: event.topic });
      await watcher.next('subscribed');
      await watcher.until(
        'both positions were received',
        () => {
          const positions = [
            ...watcher.all('subscribed').flatMap(({ snapshot }) => snapshot),
            ...watcher.all('position'),
          ];
          return expected.every((position) =>
            positions.some(({ ts, deviceId }) => ts === position['ts'] && deviceId === position['deviceId']),
          );
        },
        target.refreshMs,
      );
      using client = await connect(target, 'plain', event.session);
      await client.send({ type: 'subscribe', id: 1, topic: event.topic });
      const { snapshot, topic } = await client.next('subscribed');
      equal(topic, event.topic);
      deepEqual(
        snapshot.toSorted((a, b) => b.lat - a.lat),
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
      const device = first(event.devices);
      using client = await connect(target, 'plain', event.session);
      await client.send({ type: 'subscribe', topic: event.topic, maxHz: 20 });
      await client.next('subscribed');
      const fix = await event.publish(device, {
        latitude: 0,
        longitude: -179.5,
        speedKmh: 0,
        courseDeg: 0,
        altitudeM: 0,
      });
      const position = await client.next('position', () => true, target.refreshMs);
      deepEqual(position, { type: 'position', topic: event.topic, ...toPlain(device, fix) });
    },
    { covers: ['message position'] },
  ),
  defineCase('plain: an event without positions has an empty snapshot', ['openTestEvent'], async (target) => {
    await using event = await target.openTestEvent();
    using client = await connect(target, 'plain', event.session);
    await client.send({ type: 'subscribe', topic: event.topic });
    deepEqual((await client.next('subscribed')).snapshot, []);
  }),
  defineCase(
    'plain: after unsubscribed no position of the topic is sent',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent();
      const device = first(event.devices);
      using client = await connect(target, 'plain', event.session);
      using other = await connect(target, 'plain', event.session);
      for (const each of [client, other]) {
        await each.send({ type: 'subscribe', topic: event.topic, maxHz: 20 });
        await each.next('subscribed');
      }
      const shown = await event.publish(device);
      for (const each of [client, other])
        await each.next('position', ({ ts }) => ts === shown.fixAtMs, target.refreshMs);
      await client.send({ type: 'unsubscribe', topic: event.topic });
      await client.next('unsubscribed');
      const hidden = await event.publish(device);
      await other.next('position', ({ ts }) => ts === hidden.fixAtMs);
      await client.roundTrip();
      deepEqual(
        client.all('position').filter(({ ts }) => ts === hidden.fixAtMs),
        [],
      );
    },
  ),
  defineCase(
    'plain: a large snapshot is one frame of at most 64 KiB, and position messages follow for the rest',
    ['openTestEvent'],
    async (target) => {
      await using event = await target.openTestEvent({ deviceCount: 700 });
      for (const device of event.devices) await event.publish(device);
      const knownDevices = new Set<string>();
      using watcher = await connect(target, 'plain', event.session);
      await watcher.send({ type: 'subscribe', topic: event.topic });
      await watcher.until(
        'all positions were received',
        () => {
          for (const { message } of watcher.received) {
            if (message.type === 'position') knownDevices.add(message.deviceId);
            if (message.type === 'subscribed')
              for (const { deviceId } of message.snapshot) knownDevices.add(deviceId);
          }
          return knownDevices.size === 700;
        },
        target.refreshMs + target.answerMs,
      );
      using client = await connect(target, 'plain', event.session);
      await client.send({ type: 'subscribe', topic: event.topic });
      const { snapshot } = await client.next('subscribed');
      const frame = client.received.find(({ message }) => message.type === 'subscribed');
      ok(frame !== undefined && frame.bytes <= 65_536, `a frame of ${frame?.bytes} bytes`);
      ok(snapshot.length < 700, 'all 700 positions in one frame');
      const receivedDevices = (): ReadonlySet<string> =>
        new Set([...snapshot, ...client.all('position')].map(({ deviceId }) => deviceId));
      await client.until('the remaining positions were received', () => receivedDevices().size === 700);
      equal(snapshot.length + client.all('position').length, 700, 'a device was sent twice');
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
