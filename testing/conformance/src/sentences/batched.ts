import { deepEqual, equal, ok } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { maxChunkBytes } from '@app/shared/protocol';
import { connect } from '../peer.ts';
import { sentence } from '../sentence.ts';
import { deviceAt, heldBy, isHeld, openKnownStage, subscribeBatched } from './known-stage.ts';

export const batchedSentences = [
  sentence(
    'batched: subscribed says the epoch, the count of devices and recovered:false; then comes the snapshot, whose last part has last and a cursor',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const fix = await stage.publish(deviceAt(stage, 0));
      using watch = await subscribeBatched(target, stage);
      await watch.until('it is known', () =>
        isHeld(heldBy(watch, stage.topic), deviceAt(stage, 0), fix.fixAtMs),
      );
      using peer = await connect(target, 'batched', stage.session);
      await peer.say({ type: 'subscribe', id: 'a', topic: stage.topic });
      const subscribed = await peer.next('subscribed');
      deepEqual(
        [subscribed.topic, subscribed.id, subscribed.recovered, subscribed.devices],
        [stage.topic, 'a', false, 3],
      );
      ok(subscribed.epoch.length > 0, 'an empty epoch');
      const snapshot = await peer.next('snapshot');
      deepEqual([snapshot.part, snapshot.last, typeof snapshot.cursor], [0, true, 'string']);
      deepEqual(
        snapshot.rows.map(([id, , , ts]) => [id, ts]),
        [[deviceAt(stage, 0).id, fix.fixAtMs]],
      );
    },
    { covers: ['message subscribed', 'message snapshot'] },
  ),
  sentence(
    'batched: a row is devices.id, lon, lat, ts, speed, course, altitude; 0 is sent as 0; no IMEI is ever sent',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const device = deviceAt(stage, 0);
      using peer = await subscribeBatched(target, stage);
      const fix = await stage.publish(device, {
        latitude: -33.5,
        longitude: 151.25,
        speedKmh: 0,
        courseDeg: 0,
        altitudeM: 0,
      });
      const { rows, topic } = await peer.next(
        'positions',
        (message) => message.rows.length > 0,
        target.refreshMs,
      );
      equal(topic, stage.topic);
      deepEqual(rows, [[device.id, 151.25, -33.5, fix.fixAtMs, 0, 0, 0]]);
      ok(!JSON.stringify(peer.heard).includes(device.imei), 'an IMEI');
    },
    { covers: ['message positions'] },
  ),
  sentence(
    'batched: the parts of a snapshot are numbered from 0, below 16 KiB each, and only the last has last and a cursor',
    ['openStage'],
    async (target) => {
      const count = 700;
      await using stage = await openKnownStage(target, count);
      for (const device of stage.devices) await stage.publish(device);
      using watch = await subscribeBatched(target, stage);
      await watch.until('all are known', () => heldBy(watch, stage.topic).size === count, target.refreshMs);
      using peer = await subscribeBatched(target, stage);
      const parts = peer.all('snapshot');
      ok(parts.length > 1, 'one part');
      deepEqual(
        parts.map(({ part }) => part),
        parts.map((_, at) => at),
      );
      deepEqual(
        parts.map(({ last, cursor }) => [last, cursor !== undefined]),
        parts.map((_, at) => (at === parts.length - 1 ? [true, true] : [undefined, false])),
      );
      for (const { message, bytes } of peer.heard) {
        ok(message.type !== 'snapshot' || bytes < maxChunkBytes, `a part of ${bytes} bytes`);
      }
      equal(new Set(parts.flatMap(({ rows }) => rows.map(([id]) => id))).size, count);
    },
  ),
  sentence(
    'batched: the last positions of a flush have a cursor, another one after each change',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      using peer = await subscribeBatched(target, stage);
      const cursors = new Set(peer.all('snapshot').map(({ cursor }) => cursor));
      for (let round = 0; round < 3; round += 1) {
        await stage.publish(deviceAt(stage, round));
        const { cursor } = await peer.next(
          'positions',
          (message) => message.cursor !== undefined,
          target.refreshMs,
        );
        ok(!cursors.has(cursor), 'the cursor of before');
        cursors.add(cursor);
      }
    },
  ),
  sentence(
    'batched: a client gets no more frames a second than its maxHz, and of each device the newest position',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const device = deviceAt(stage, 0);
      using peer = await subscribeBatched(target, stage, { maxHz: 1 });
      const startedAtMs = performance.now();
      let lastFixAtMs = 0;
      while (performance.now() - startedAtMs < 3_000) {
        ({ fixAtMs: lastFixAtMs } = await stage.publish(device));
        await sleep(20);
      }
      await peer.until('the newest is shown', () => isHeld(heldBy(peer, stage.topic), device, lastFixAtMs));
      const seconds = (performance.now() - startedAtMs) / 1_000;
      const frames = peer.all('positions').length;
      ok(frames <= seconds + 2, `${frames} frames in ${seconds.toFixed(1)} s`);
    },
  ),
  sentence(
    'both dialects: per device in fix-time order, and in the end the newest, however the fixes come',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      using batched = await subscribeBatched(target, stage);
      using plain = await connect(target, 'plain', stage.session);
      await plain.say({ type: 'subscribe', topic: stage.topic, maxHz: 20 });
      await plain.next('subscribed');
      const fromMs = Date.now() - 60_000;
      const newestMs = [0, 0];
      for (let round = 0; round < 120; round += 1) {
        // Every third fix is an old one that comes late.
        const fixAtMs = fromMs + 100 * (round % 3 === 2 ? round - 30 : round);
        const at = round % 2;
        newestMs[at] = Math.max(newestMs[at] ?? 0, fixAtMs);
        await stage.publish(deviceAt(stage, at), { fixAtMs });
        if (round % 10 === 0) await sleep(60);
      }
      for (const at of [0, 1]) {
        const device = deviceAt(stage, at);
        await batched.until('the newest is shown', () =>
          isHeld(heldBy(batched, stage.topic), device, newestMs[at] ?? 0),
        );
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
  sentence(
    'batched: devices says who came and who left, before any rows of theirs',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      using peer = await subscribeBatched(target, stage);
      const joining = await stage.addDevice();
      const fix = await stage.publish(joining);
      const added = await peer.next(
        'devices',
        (message) => message.added.includes(joining.id),
        target.refreshMs,
      );
      equal(added.topic, stage.topic);
      await peer.until(
        'its position is shown',
        () => isHeld(heldBy(peer, stage.topic), joining, fix.fixAtMs),
        target.refreshMs,
      );
      const messages = peer.heard.map(({ message }) => message);
      const firstRow = messages.findIndex(
        (message) => 'rows' in message && message.rows.some(([id]) => id === joining.id),
      );
      ok(firstRow > messages.indexOf(added), 'a row of a device before the device');
      await stage.removeDevice(joining);
      await peer.next('devices', (message) => message.removed.includes(joining.id), target.refreshMs);
      await stage.publish(joining);
      await stage.publish(deviceAt(stage, 0));
      await peer.until('the others go on', () => heldBy(peer, stage.topic).has(deviceAt(stage, 0).id));
      ok(!heldBy(peer, stage.topic).has(joining.id), 'a row of a device that has left');
    },
    { covers: ['message devices'] },
  ),
  sentence(
    'batched: a fix found faulty disappears: its device is removed and added, and an older row follows',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const device = deviceAt(stage, 0);
      const good = await stage.publish(device, { fixAtMs: Date.now() - 5_000 });
      const faulty = await stage.publish(device);
      using peer = await subscribeBatched(target, stage);
      await peer.until('it is shown', () => isHeld(heldBy(peer, stage.topic), device, faulty.fixAtMs));
      await stage.markFaulty(device, faulty.fixAtMs);
      const told = await peer.next('devices', () => true, target.refreshMs);
      deepEqual([told.removed, told.added], [[device.id], [device.id]]);
      await peer.until('the older one is shown', () =>
        isHeld(heldBy(peer, stage.topic), device, good.fixAtMs),
      );
    },
  ),
  sentence(
    'batched: with a bbox only devices inside are shown, also across the antimeridian; hidden says who left it',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const device = deviceAt(stage, 0);
      const other = deviceAt(stage, 1);
      using peer = await subscribeBatched(target, stage, { bbox: [170, -10, -170, 10] });
      await stage.publish(other, { longitude: 0, latitude: 0 });
      for (const longitude of [170, 179.9, 180, -180, -170]) {
        const fix = await stage.publish(device, { longitude, latitude: 10 });
        await peer.until(
          `${longitude} is inside`,
          () => isHeld(heldBy(peer, stage.topic), device, fix.fixAtMs),
          target.refreshMs,
        );
      }
      for (const [longitude, latitude] of [
        [169.9, 0],
        [-169.9, 0],
        [180, 10.1],
        [180, -10.1],
      ] as const) {
        await stage.publish(device, { longitude, latitude });
        const hidden = await peer.next('hidden');
        deepEqual([hidden.topic, hidden.devices], [stage.topic, [device.id]]);
        const back = await stage.publish(device, { longitude: 175, latitude: 0 });
        await peer.until('back inside', () => isHeld(heldBy(peer, stage.topic), device, back.fixAtMs));
      }
      ok(
        !JSON.stringify(peer.heard.map(({ message }) => message)).includes(other.id),
        'a device outside of the box',
      );
    },
    { covers: ['message hidden'] },
  ),
  sentence(
    'batched: an update of the bbox brings what becomes visible, hides what is not any more, and no snapshot',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const west = deviceAt(stage, 0);
      const east = deviceAt(stage, 1);
      const westFix = await stage.publish(west, { longitude: -5, latitude: 1 });
      const eastFix = await stage.publish(east, { longitude: 5, latitude: 1 });
      using peer = await subscribeBatched(target, stage, { bbox: [-10, -10, 0, 10] });
      const shows = (...ids: readonly string[]): boolean =>
        JSON.stringify([...heldBy(peer, stage.topic).keys()].toSorted()) === JSON.stringify(ids.toSorted());
      await peer.until('the west is shown', () => shows(west.id), target.refreshMs);
      const snapshots = peer.all('snapshot').length;
      await peer.say({ type: 'update', id: 'u', topic: stage.topic, bbox: [0, -10, 10, 10] });
      const updated = await peer.next('updated');
      deepEqual([updated.id, updated.topic], ['u', stage.topic]);
      await peer.until('the east is shown', () => shows(east.id));
      await peer.say({ type: 'update', topic: stage.topic, bbox: null });
      await peer.until('all is shown', () => shows(west.id, east.id));
      await peer.say({ type: 'update', topic: stage.topic, maxHz: 0.5 });
      await peer.next('updated', ({ id }) => id === undefined);
      await peer.settle();
      equal(peer.all('snapshot').length, snapshots, 'another snapshot');
      ok(
        isHeld(heldBy(peer, stage.topic), west, westFix.fixAtMs) &&
          isHeld(heldBy(peer, stage.topic), east, eastFix.fixAtMs),
        'other positions than the newest',
      );
    },
  ),
  sentence(
    'batched: after 25 s without a frame there is a heartbeat, with the time and a cursor to resume from',
    ['session', 'eventId'],
    async (target) => {
      using peer = await connect(target, 'batched', target.session);
      const topic = `event:${target.eventId}`;
      await peer.say({ type: 'subscribe', topic });
      const { epoch } = await peer.next('subscribed');
      await peer.next('snapshot', ({ last }) => last === true);
      const heartbeat = await peer.next('heartbeat', () => true, 27_000 + target.answerMs);
      const [before, at] = peer.heard.slice(-2);
      const waitedMs = (at?.atMs ?? 0) - (before?.atMs ?? 0);
      ok(waitedMs > 20_000, `after ${Math.round(waitedMs)} ms`);
      ok(Math.abs(heartbeat.time - Date.now()) < 60_000, 'its clock differs by more than a minute');
      // Another sentence may have Directus in trouble at this moment: that is an answer for now.
      for (let id = 1; ; id += 1) {
        await peer.say({ type: 'unsubscribe', topic });
        await peer.say({ type: 'subscribe', id, topic, cursor: heartbeat.cursor, epoch });
        await peer.until('there is a reply', () =>
          peer.heard.some(({ message }) => 'id' in message && message.id === id),
        );
        if (!peer.all('error').some((error) => error.id === id && error.temporary)) break;
        await sleep(200);
      }
      equal((await peer.next('subscribed')).recovered, true);
    },
    { covers: ['message heartbeat'], pace: 'meanwhile' },
  ),
];
