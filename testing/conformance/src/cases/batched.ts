import { deepEqual, equal, ok } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { maxChunkBytes } from '@app/shared/protocol';
import { connect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import {
  deviceAt,
  eventCase,
  heldBy,
  isHeld,
  openKnownEvent,
  subscribeBatched,
  untilHeld,
} from './known-event.ts';

export const batchedCases = [
  eventCase(
    'batched: subscribed has the epoch, the device count and recovered:false; a snapshot with last and a cursor follows',
    async (target, event) => {
      const fix = await event.publish(deviceAt(event, 0));
      using watcher = await subscribeBatched(target, event);
      await untilHeld(watcher, event, deviceAt(event, 0), fix.fixAtMs);
      using client = await connect(target, 'batched', event.session);
      await client.send({ type: 'subscribe', id: 'a', topic: event.topic });
      const subscribed = await client.next('subscribed');
      deepEqual(
        [subscribed.topic, subscribed.id, subscribed.recovered, subscribed.devices],
        [event.topic, 'a', false, 3],
      );
      ok(subscribed.epoch.length > 0, 'an empty epoch');
      const snapshot = await client.next('snapshot');
      deepEqual([snapshot.part, snapshot.last, typeof snapshot.cursor], [0, true, 'string']);
      deepEqual(
        snapshot.rows.map(([id, , , ts]) => [id, ts]),
        [[deviceAt(event, 0).id, fix.fixAtMs]],
      );
    },
    { covers: ['message subscribed', 'message snapshot'] },
  ),
  eventCase(
    'batched: a row is devices.id, lon, lat, ts, speed, course, altitude; 0 is sent as 0; IMEIs are never sent',
    async (target, event) => {
      const device = deviceAt(event, 0);
      using client = await subscribeBatched(target, event);
      const fix = await event.publish(device, {
        latitude: -33.5,
        longitude: 151.25,
        speedKmh: 0,
        courseDeg: 0,
        altitudeM: 0,
      });
      const { rows, topic } = await client.next(
        'positions',
        (message) => message.rows.length > 0,
        target.refreshMs,
      );
      equal(topic, event.topic);
      deepEqual(rows, [[device.id, 151.25, -33.5, fix.fixAtMs, 0, 0, 0]]);
      ok(!JSON.stringify(client.received).includes(device.imei), 'received an IMEI');
    },
    { covers: ['message positions'] },
  ),
  eventCase(
    'batched: with deflate a client gets its positions as text or in deflated frames with a dictionary sent before',
    async (target, event) => {
      using client = await connect(target, 'batched', event.session);
      client.readsDeflated = true;
      await client.send({ type: 'subscribe', topic: event.topic, maxHz: 20, deflate: true });
      await client.next('snapshot', ({ last }) => last === true);
      const fix = await event.publish(deviceAt(event, 0));
      await untilHeld(client, event, deviceAt(event, 0), fix.fixAtMs);
    },
  ),
  defineCase(
    'batched: snapshot parts are numbered from 0, below 16 KiB, and only the last has last and a cursor',
    ['openTestEvent'],
    async (target) => {
      const count = 700;
      await using event = await openKnownEvent(target, count);
      for (const device of event.devices) await event.publish(device);
      using watcher = await subscribeBatched(target, event);
      await watcher.until(
        'all fixes are known',
        () => heldBy(watcher, event.topic).size === count,
        target.refreshMs,
      );
      using client = await subscribeBatched(target, event);
      const parts = client.all('snapshot');
      ok(parts.length > 1, 'only one part');
      deepEqual(
        parts.map(({ part }) => part),
        parts.map((_, at) => at),
      );
      deepEqual(
        parts.map(({ last, cursor }) => [last, cursor !== undefined]),
        parts.map((_, at) => (at === parts.length - 1 ? [true, true] : [undefined, false])),
      );
      for (const { message, bytes } of client.received) {
        ok(message.type !== 'snapshot' || bytes < maxChunkBytes, `a part of ${bytes} bytes`);
      }
      equal(new Set(parts.flatMap(({ rows }) => rows.map(([id]) => id))).size, count);
    },
  ),
  eventCase(
    'batched: the last frame of a flush has a cursor that differs after each change',
    async (target, event) => {
      using client = await subscribeBatched(target, event);
      const cursors = new Set(client.all('snapshot').map(({ cursor }) => cursor));
      for (let round = 0; round < 3; round += 1) {
        await event.publish(deviceAt(event, round));
        const { cursor } = await client.next(
          'positions',
          (message) => message.cursor !== undefined,
          target.refreshMs,
        );
        ok(!cursors.has(cursor), 'the same cursor as before');
        cursors.add(cursor);
      }
    },
  ),
  eventCase(
    'batched: a client gets at most maxHz frames per second, and the newest position of each device',
    async (target, event) => {
      const device = deviceAt(event, 0);
      using client = await subscribeBatched(target, event, { maxHz: 1 });
      const startedAtMs = performance.now();
      let lastFixAtMs = 0;
      while (performance.now() - startedAtMs < 3_000) {
        ({ fixAtMs: lastFixAtMs } = await event.publish(device));
        await sleep(20);
      }
      await untilHeld(client, event, device, lastFixAtMs);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      const frames = client.all('positions').length;
      ok(frames <= seconds + 2, `${frames} frames in ${seconds.toFixed(1)} s`);
    },
  ),
  eventCase(
    'both dialects: positions of a device arrive in fix-time order and end with the newest, whatever the stream order',
    async (target, event) => {
      using batched = await subscribeBatched(target, event);
      using plain = await connect(target, 'plain', event.session);
      await plain.send({ type: 'subscribe', topic: event.topic, maxHz: 20 });
      await plain.next('subscribed');
      const fromMs = Date.now() - 60_000;
      const newestMs = [0, 0];
      for (let round = 0; round < 120; round += 1) {
        // Every third fix is a late, old one.
        const fixAtMs = fromMs + 100 * (round % 3 === 2 ? round - 30 : round);
        const at = round % 2;
        newestMs[at] = Math.max(newestMs[at] ?? 0, fixAtMs);
        await event.publish(deviceAt(event, at), { fixAtMs });
        if (round % 10 === 0) await sleep(60);
      }
      for (const at of [0, 1]) {
        const device = deviceAt(event, at);
        await untilHeld(batched, event, device, newestMs[at] ?? 0);
        await plain.next('position', ({ deviceId, ts }) => deviceId === device.imei && ts === newestMs[at]);
        const times = plain
          .all('position')
          .flatMap(({ deviceId, ts }) => (deviceId === device.imei ? [ts] : []));
        deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
      }
    },
  ),
  eventCase(
    'batched: devices announces added and removed devices before any of their rows',
    async (target, event) => {
      using client = await subscribeBatched(target, event);
      const device = await event.addDevice();
      const fix = await event.publish(device);
      const added = await client.next(
        'devices',
        (message) => message.added.includes(device.id),
        target.refreshMs,
      );
      equal(added.topic, event.topic);
      await untilHeld(client, event, device, fix.fixAtMs, target.refreshMs);
      const messages = client.received.map(({ message }) => message);
      const firstRow = messages.findIndex(
        (message) => 'rows' in message && message.rows.some(([id]) => id === device.id),
      );
      ok(firstRow > messages.indexOf(added), 'a row arrived before its device was announced');
      await event.removeDevice(device);
      await client.next('devices', (message) => message.removed.includes(device.id), target.refreshMs);
      await event.publish(device);
      await event.publish(deviceAt(event, 0));
      await client.until('other positions were received', () =>
        heldBy(client, event.topic).has(deviceAt(event, 0).id),
      );
      ok(!heldBy(client, event.topic).has(device.id), 'received a row of a removed device');
    },
    { covers: ['message devices'] },
  ),
  eventCase(
    'batched: when a fix is found faulty its device is removed and added, and an older row follows',
    async (target, event) => {
      const device = deviceAt(event, 0);
      const validFix = await event.publish(device, { fixAtMs: Date.now() - 5_000 });
      const faultyFix = await event.publish(device);
      using client = await subscribeBatched(target, event);
      await untilHeld(client, event, device, faultyFix.fixAtMs);
      await event.markFaulty(device, faultyFix.fixAtMs);
      const change = await client.next('devices', () => true, target.refreshMs);
      deepEqual([change.removed, change.added], [[device.id], [device.id]]);
      await untilHeld(client, event, device, validFix.fixAtMs);
    },
  ),
  eventCase(
    'batched: a bbox, also one across the antimeridian, limits the rows to devices inside; hidden names those that left',
    async (target, event) => {
      const device = deviceAt(event, 0);
      const other = deviceAt(event, 1);
      using client = await subscribeBatched(target, event, { bbox: [170, -10, -170, 10] });
      await event.publish(other, { longitude: 0, latitude: 0 });
      for (const longitude of [170, 179.9, 180, -180, -170]) {
        const fix = await event.publish(device, { longitude, latitude: 10 });
        await untilHeld(client, event, device, fix.fixAtMs, target.refreshMs);
      }
      for (const [longitude, latitude] of [
        [169.9, 0],
        [-169.9, 0],
        [180, 10.1],
        [180, -10.1],
      ] as const) {
        await event.publish(device, { longitude, latitude });
        const hidden = await client.next('hidden');
        deepEqual([hidden.topic, hidden.devices], [event.topic, [device.id]]);
        const insideFix = await event.publish(device, { longitude: 175, latitude: 0 });
        await untilHeld(client, event, device, insideFix.fixAtMs);
      }
      ok(
        !JSON.stringify(client.received.map(({ message }) => message)).includes(other.id),
        'received a device outside the bbox',
      );
    },
    { covers: ['message hidden'] },
  ),
  eventCase(
    'batched: an update of the bbox sends devices that become visible, hides others, and sends no snapshot',
    async (target, event) => {
      const west = deviceAt(event, 0);
      const east = deviceAt(event, 1);
      const westFix = await event.publish(west, { longitude: -5, latitude: 1 });
      const eastFix = await event.publish(east, { longitude: 5, latitude: 1 });
      using client = await subscribeBatched(target, event, { bbox: [-10, -10, 0, 10] });
      const holds = (...ids: readonly string[]): boolean =>
        JSON.stringify([...heldBy(client, event.topic).keys()].toSorted()) === JSON.stringify(ids.toSorted());
      await client.until('the western device was received', () => holds(west.id), target.refreshMs);
      const snapshots = client.all('snapshot').length;
      await client.send({ type: 'update', id: 'u', topic: event.topic, bbox: [0, -10, 10, 10] });
      const updated = await client.next('updated');
      deepEqual([updated.id, updated.topic], ['u', event.topic]);
      await client.until('only the eastern device is held', () => holds(east.id));
      await client.send({ type: 'update', topic: event.topic, bbox: null });
      await client.until('both devices are held', () => holds(west.id, east.id));
      await client.send({ type: 'update', topic: event.topic, maxHz: 0.5 });
      await client.next('updated', ({ id }) => id === undefined);
      await client.roundTrip();
      equal(client.all('snapshot').length, snapshots, 'received another snapshot');
      ok(
        isHeld(heldBy(client, event.topic), west, westFix.fixAtMs) &&
          isHeld(heldBy(client, event.topic), east, eastFix.fixAtMs),
        'a held position is not the newest',
      );
    },
  ),
  defineCase(
    'batched: after 25 s without a frame a heartbeat has the time and a cursor to resume from',
    ['session', 'eventId'],
    async (target) => {
      using client = await connect(target, 'batched', target.session);
      const topic = `event:${target.eventId}`;
      await client.send({ type: 'subscribe', topic });
      const { epoch } = await client.next('subscribed');
      await client.next('snapshot', ({ last }) => last === true);
      const heartbeat = await client.next('heartbeat', () => true, 27_000 + target.answerMs);
      const [previous, last] = client.received.slice(-2);
      const waitedMs = (last?.atMs ?? 0) - (previous?.atMs ?? 0);
      ok(waitedMs > 20_000, `after ${Math.round(waitedMs)} ms`);
      ok(Math.abs(heartbeat.time - Date.now()) < 60_000, 'the server clock differs by more than a minute');
      // Another case may make Directus fail at this moment, which gives a temporary error.
      for (let id = 1; ; id += 1) {
        await client.send({ type: 'unsubscribe', topic });
        await client.send({ type: 'subscribe', id, topic, cursor: heartbeat.cursor, epoch });
        await client.until('subscribe is answered', () =>
          client.received.some(({ message }) => 'id' in message && message.id === id),
        );
        if (!client.all('error').some((error) => error.id === id && error.temporary)) break;
        await sleep(200);
      }
      equal((await client.next('subscribed')).recovered, true);
    },
    { covers: ['message heartbeat'], schedule: 'background' },
  ),
];
