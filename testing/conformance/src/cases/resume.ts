import { deepEqual, equal, ok } from 'node:assert/strict';
import { connect } from '../client.ts';
import type { Client } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { TestEvent, Target } from '../target.ts';
import {
  deviceAt,
  eventCase,
  heldBy,
  isHeld,
  openKnownEvent,
  resumePoint,
  subscribeBatched,
  untilHeld,
  untilKnown,
} from './known-event.ts';

/**
 * Publishes positions of devices 0, 1 and 2, and disconnects a client that holds them. Its cursor covers devices 0 and 2;
 * a resume may send device 1 again.
 */
async function disconnectClient(
  target: Target,
  event: TestEvent,
  view: object = {},
): Promise<{ readonly point: ReturnType<typeof resumePoint>; readonly held: ReturnType<typeof heldBy> }> {
  const fixes = [
    await event.publish(deviceAt(event, 0)),
    await event.publish(deviceAt(event, 1)),
    await event.publish(deviceAt(event, 2)),
  ];
  using client = await subscribeBatched(target, event, view);
  const untilAllHeld = async (what: string): Promise<void> => {
    await client.until(
      what,
      () => {
        const held = heldBy(client, event.topic);
        const lastRows = client.received.findLast(({ message }) => 'rows' in message)?.message;
        const hasCursor = lastRows !== undefined && 'cursor' in lastRows && lastRows.cursor !== undefined;
        return hasCursor && fixes.every((fix, at) => isHeld(held, deviceAt(event, at), fix.fixAtMs));
      },
      target.refreshMs,
    );
  };
  await untilAllHeld('all positions were received, with a cursor');
  // A frame may hold rows that its cursor does not cover. The frame of a later position has a cursor that covers these.
  fixes[1] = await event.publish(deviceAt(event, 1));
  await untilAllHeld('a later position was received, with a cursor');
  return { point: resumePoint(client), held: heldBy(client, event.topic) };
}

/** Subscribes with a cursor and waits for the reply. */
async function resume(
  target: Target,
  event: TestEvent,
  options: object,
  url = target.url,
): Promise<Client<'batched'>> {
  const client = await connect(target, 'batched', event.session, { url });
  await client.send({ type: 'subscribe', topic: event.topic, maxHz: 20, ...options });
  await client.next('subscribed');
  return client;
}

/** Subscribes with a cursor; the server must answer `recovered: false` and send a complete snapshot. */
async function expectFullSnapshot(target: Target, event: TestEvent, options: object): Promise<void> {
  using client = await connect(target, 'batched', event.session);
  await client.send({ type: 'subscribe', topic: event.topic, maxHz: 20, ...options });
  equal((await client.next('subscribed')).recovered, false);
  await client.next('snapshot', ({ part }) => part === 0);
  await client.until('the snapshot is complete', () =>
    client.all('snapshot').some(({ last }) => last === true),
  );
  equal(heldBy(client, event.topic).size, 3);
}

export const resumeCases = [
  eventCase('batched: a recovered resume sends only the changes since the cursor', async (target, event) => {
    const { point, held } = await disconnectClient(target, event);
    const missed = await event.publish(deviceAt(event, 1));
    // The server must know the fix before the resume.
    using watcher = await subscribeBatched(target, event);
    await untilHeld(watcher, event, deviceAt(event, 1), missed.fixAtMs);
    using resumed = await resume(target, event, point);
    equal(resumed.all('subscribed')[0]?.recovered, true);
    await untilHeld(resumed, event, deviceAt(event, 1), missed.fixAtMs);
    deepEqual(
      heldBy(resumed, event.topic, held),
      heldBy(watcher, event.topic),
      'it holds other rows than a new client',
    );
    deepEqual(
      [...heldBy(resumed, event.topic).keys()],
      [deviceAt(event, 1).id],
      'received more than the changes',
    );
    deepEqual(resumed.all('snapshot'), []);
  }),
  defineCase(
    'batched: any replica can resume a client, which then holds the same rows as a client that stayed',
    ['openTestEvent', 'replicas'],
    async (target) => {
      await using event = await openKnownEvent(target);
      const { point, held } = await disconnectClient(target, event);
      await using replica = await target.replicas.start();
      await untilKnown(target, event, 3, replica.url);
      const missed = await event.publish(deviceAt(event, 2));
      using watcher = await subscribeBatched(target, event, {}, replica.url);
      await untilHeld(watcher, event, deviceAt(event, 2), missed.fixAtMs, target.refreshMs);
      using resumed = await resume(target, event, point, replica.url);
      equal(resumed.all('subscribed')[0]?.recovered, true);
      await untilHeld(resumed, event, deviceAt(event, 2), missed.fixAtMs);
      deepEqual(heldBy(resumed, event.topic, held), heldBy(watcher, event.topic));
    },
    { schedule: 'parallel' },
  ),
  ...(
    [
      ['another epoch', (point: object) => ({ ...point, epoch: 'another' })],
      ['a malformed cursor', (point: object) => ({ ...point, cursor: 'nonsense' })],
      ['another bbox', (point: object) => ({ ...point, bbox: [-180, -90, 180, 90] })],
    ] as const
  ).map(([what, change]) =>
    eventCase(
      `batched: a resume with ${what} is answered recovered:false and a full snapshot`,
      async (target, event) => {
        const { point } = await disconnectClient(target, event);
        await expectFullSnapshot(target, event, change(point));
      },
    ),
  ),
  eventCase(
    'batched: a resume after the devices of the event changed is answered recovered:false and a full snapshot',
    async (target, event) => {
      const { point } = await disconnectClient(target, event);
      await event.addDevice();
      await untilKnown(target, event, 4);
      await expectFullSnapshot(target, event, point);
    },
  ),
  eventCase('batched: a cursor received with a bbox resumes with the same bbox', async (target, event) => {
    const bbox = [0, 0, 90, 90];
    const { point } = await disconnectClient(target, event, { bbox });
    using resumed = await resume(target, event, { ...point, bbox });
    equal(resumed.all('subscribed')[0]?.recovered, true);
    await resumed.roundTrip();
    deepEqual(resumed.all('snapshot'), []);
  }),
  eventCase(
    'batched: a cursor ahead of the server is answered with a temporary unavailable after up to 2 s',
    async (target, event) => {
      const { point } = await disconnectClient(target, event);
      // Cursors are opaque to clients, but this suite knows that they contain stream ids, which start with a time in ms.
      const cursor = point.cursor.replace(/\d{13}/u, (ms) => String(Number(ms) + 3_600_000));
      ok(cursor !== point.cursor, 'cannot derive a future cursor from those of this server');
      using client = await connect(target, 'batched', event.session);
      const sentAtMs = performance.now();
      await client.send({ type: 'subscribe', id: 1, topic: event.topic, epoch: point.epoch, cursor });
      const error = await client.next('error');
      deepEqual([error.id, error.code, error.temporary], [1, 'unavailable', true]);
      ok(performance.now() - sentAtMs < 2_000 + target.answerMs, 'answered after more than 2 s');
      deepEqual(client.all('snapshot'), [], 'sent a snapshot older than the rows that the client holds');
    },
  ),
  defineCase(
    'batched: when the stream is rewound, clients get resync and a snapshot',
    ['replicas', 'ownStream', 'session', 'eventId'],
    async (target) => {
      await using stream = await target.ownStream();
      await using replica = await target.replicas.start({ REDIS_TELEMETRY_STREAM: stream.key });
      using client = await connect(target, 'batched', target.session, { url: replica.url });
      const topic = `event:${target.eventId}`;
      await client.send({ type: 'subscribe', topic });
      const { epoch } = await client.next('subscribed');
      await client.next('snapshot', ({ last }) => last === true);
      const point = resumePoint(client);
      await stream.rewind();
      equal((await client.next('resync', () => true, target.refreshMs)).topic, topic);
      await client.next('snapshot', ({ part }) => part === 0, target.refreshMs);
      using resumed = await connect(target, 'batched', target.session, { url: replica.url });
      await resumed.send({ type: 'subscribe', topic, ...point });
      const again = await resumed.next('subscribed');
      deepEqual([again.recovered, again.epoch === epoch], [false, false], 'resumed, or with the same epoch');
    },
    { covers: ['message resync'], schedule: 'parallel' },
  ),
];
