import { deepEqual, equal, ok } from 'node:assert/strict';
import type { Position } from '@app/shared/position';
import { connect } from '../peer.ts';
import { sentence } from '../sentence.ts';
import type { Device } from '../target.ts';

function asPlain(device: Device, fix: Position): Readonly<Record<string, unknown>> {
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
  if (item === undefined) throw new Error('the stage is empty');
  return item;
}

export const plainSentences = [
  sentence(
    'plain: subscribed has the newest known position of each device of the event as its snapshot',
    ['openStage'],
    async (target) => {
      await using stage = await target.openStage();
      const [known, other, silent] = stage.devices;
      ok(known !== undefined && other !== undefined && silent !== undefined, 'too few devices');
      await stage.publish(known, { fixAtMs: Date.now() - 5_000 });
      const wanted = [
        asPlain(known, await stage.publish(known)),
        asPlain(other, await stage.publish(other, { latitude: -1.5 })),
      ];
      using watch = await connect(target, 'plain', stage.session);
      await watch.say({ type: 'subscribe', topic: stage.topic });
      await watch.next('subscribed');
      await watch.until(
        'both devices are shown',
        () => {
          const shown = [
            ...watch.all('subscribed').flatMap(({ snapshot }) => snapshot),
            ...watch.all('position'),
          ];
          return wanted.every((position) =>
            shown.some(({ ts, deviceId }) => ts === position['ts'] && deviceId === position['deviceId']),
          );
        },
        target.refreshMs,
      );
      using peer = await connect(target, 'plain', stage.session);
      await peer.say({ type: 'subscribe', id: 1, topic: stage.topic });
      const { snapshot, topic } = await peer.next('subscribed');
      equal(topic, stage.topic);
      deepEqual(
        snapshot.toSorted((a, b) => b.lat - a.lat),
        wanted,
      );
    },
    { covers: ['message subscribed'] },
  ),
  sentence(
    'plain: a position has the IMEI, degrees, the fix time in ms, and what is known; 0 is sent as 0',
    ['openStage'],
    async (target) => {
      await using stage = await target.openStage();
      const device = first(stage.devices);
      using peer = await connect(target, 'plain', stage.session);
      await peer.say({ type: 'subscribe', topic: stage.topic, maxHz: 20 });
      await peer.next('subscribed');
      const fix = await stage.publish(device, {
        latitude: 0,
        longitude: -179.5,
        speedKmh: 0,
        courseDeg: 0,
        altitudeM: 0,
      });
      const position = await peer.next('position', () => true, target.refreshMs);
      deepEqual(position, { type: 'position', topic: stage.topic, ...asPlain(device, fix) });
    },
    { covers: ['message position'] },
  ),
  sentence('plain: an event without positions has an empty snapshot', ['openStage'], async (target) => {
    await using stage = await target.openStage();
    using peer = await connect(target, 'plain', stage.session);
    await peer.say({ type: 'subscribe', topic: stage.topic });
    deepEqual((await peer.next('subscribed')).snapshot, []);
  }),
  sentence('plain: after unsubscribed nothing of the topic is sent', ['openStage'], async (target) => {
    await using stage = await target.openStage();
    const device = first(stage.devices);
    using peer = await connect(target, 'plain', stage.session);
    using witness = await connect(target, 'plain', stage.session);
    for (const each of [peer, witness]) {
      await each.say({ type: 'subscribe', topic: stage.topic, maxHz: 20 });
      await each.next('subscribed');
    }
    const shown = await stage.publish(device);
    for (const each of [peer, witness])
      await each.next('position', ({ ts }) => ts === shown.fixAtMs, target.refreshMs);
    await peer.say({ type: 'unsubscribe', topic: stage.topic });
    await peer.next('unsubscribed');
    const hidden = await stage.publish(device);
    await witness.next('position', ({ ts }) => ts === hidden.fixAtMs);
    await peer.settle();
    deepEqual(
      peer.all('position').filter(({ ts }) => ts === hidden.fixAtMs),
      [],
    );
  }),
  sentence(
    'plain: a snapshot of many devices stays within one frame of 64 KiB, and the rest follows as position',
    ['openStage'],
    async (target) => {
      await using stage = await target.openStage({ deviceCount: 700 });
      for (const device of stage.devices) await stage.publish(device);
      const seen = new Set<string>();
      using warm = await connect(target, 'plain', stage.session);
      await warm.say({ type: 'subscribe', topic: stage.topic });
      await warm.until(
        'all devices are shown',
        () => {
          for (const { message } of warm.heard) {
            if (message.type === 'position') seen.add(message.deviceId);
            if (message.type === 'subscribed')
              for (const { deviceId } of message.snapshot) seen.add(deviceId);
          }
          return seen.size === 700;
        },
        target.refreshMs + target.answerMs,
      );
      using peer = await connect(target, 'plain', stage.session);
      await peer.say({ type: 'subscribe', topic: stage.topic });
      const { snapshot } = await peer.next('subscribed');
      const frame = peer.heard.find(({ message }) => message.type === 'subscribed');
      ok(frame !== undefined && frame.bytes <= 65_536, `a frame of ${frame?.bytes} bytes`);
      ok(snapshot.length < 700, 'all 700 in one frame');
      const rest = (): ReadonlySet<string> =>
        new Set([...snapshot, ...peer.all('position')].map(({ deviceId }) => deviceId));
      await peer.until('the rest follows', () => rest().size === 700);
      equal(snapshot.length + peer.all('position').length, 700, 'a device was sent twice');
    },
  ),
  sentence(
    'plain: while the database does not answer the snapshot is empty and says degraded',
    ['session', 'eventId', 'replicas'],
    async (target) => {
      await using blind = await target.replicas.start({ POSTGRES_URL: 'postgres://nobody@127.0.0.1:1/none' });
      using peer = await connect(target, 'plain', target.session, { url: blind.url });
      await peer.say({ type: 'subscribe', topic: `event:${target.eventId}` });
      const { snapshot, degraded } = await peer.next('subscribed');
      deepEqual([snapshot, degraded], [[], true]);
    },
    { pace: 'together' },
  ),
];
