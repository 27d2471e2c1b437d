import { deepEqual, equal, ok } from 'node:assert/strict';
import { connect } from '../peer.ts';
import type { Peer } from '../peer.ts';
import { sentence } from '../sentence.ts';
import type { Stage, Target } from '../target.ts';
import {
  deviceAt,
  heldBy,
  isHeld,
  openKnownStage,
  resumePoint,
  subscribeBatched,
  untilKnown,
} from './known-stage.ts';

/** Longer than a tick at 2 Hz, which is more than any server takes to tell what it has at 20. */
const quietMs = 500;

/** Devices 0, 1 and 2 with a position each, and a client that holds them and has gone. */
async function leaveAt(
  target: Target,
  stage: Stage,
  wish: object = {},
): Promise<{ readonly point: ReturnType<typeof resumePoint>; readonly held: ReturnType<typeof heldBy> }> {
  const fixes = [
    await stage.publish(deviceAt(stage, 0)),
    await stage.publish(deviceAt(stage, 1)),
    await stage.publish(deviceAt(stage, 2)),
  ];
  using peer = await subscribeBatched(target, stage, wish);
  await peer.until(
    'all is shown, with a cursor',
    () => {
      const held = heldBy(peer, stage.topic);
      const lastRows = peer.heard.findLast(({ message }) => 'rows' in message)?.message;
      const hasCursor = lastRows !== undefined && 'cursor' in lastRows && lastRows.cursor !== undefined;
      return hasCursor && fixes.every((fix, at) => isHeld(held, deviceAt(stage, at), fix.fixAtMs));
    },
    target.refreshMs,
  );
  // A frame may show more than its cursor says; what it did not say comes again, with the next one.
  await peer.quiet(quietMs);
  return { point: resumePoint(peer), held: heldBy(peer, stage.topic) };
}

async function resume(
  target: Target,
  stage: Stage,
  wish: object,
  url = target.url,
): Promise<{ readonly peer: Peer<'batched'>; readonly recovered: boolean }> {
  const peer = await connect(target, 'batched', stage.session, { url });
  await peer.say({ type: 'subscribe', topic: stage.topic, maxHz: 20, ...wish });
  const { recovered } = await peer.next('subscribed');
  return { peer, recovered };
}

/** Not recovered means a full snapshot, never a part of it. */
async function expectFullSnapshot(peer: Peer<'batched'>, stage: Stage): Promise<void> {
  await peer.next('snapshot', ({ part }) => part === 0);
  await peer.until('the snapshot is whole', () => peer.all('snapshot').some(({ last }) => last === true));
  equal(heldBy(peer, stage.topic).size, 3);
}

export const resumeSentences = [
  sentence(
    'batched: a resume that says recovered brings only what has changed since the cursor',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const { point, held } = await leaveAt(target, stage);
      const missed = await stage.publish(deviceAt(stage, 1));
      // Known to the server by the time of the resume.
      using watch = await subscribeBatched(target, stage);
      await watch.until('it is known', () =>
        isHeld(heldBy(watch, stage.topic), deviceAt(stage, 1), missed.fixAtMs),
      );
      const { peer, recovered } = await resume(target, stage, point);
      using back = peer;
      equal(recovered, true);
      await back.until('what was missed is shown', () =>
        isHeld(heldBy(back, stage.topic, held), deviceAt(stage, 1), missed.fixAtMs),
      );
      deepEqual(
        heldBy(back, stage.topic, held),
        heldBy(watch, stage.topic),
        'it holds something else than a newcomer',
      );
      deepEqual([...heldBy(back, stage.topic).keys()], [deviceAt(stage, 1).id], 'more than what has changed');
      deepEqual(back.all('snapshot'), []);
    },
  ),
  sentence(
    'batched: any replica resumes a client, and it holds what it would hold had it never been away',
    ['openStage', 'replicas'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const { point, held } = await leaveAt(target, stage);
      await using replica = await target.replicas.start();
      await untilKnown(target, stage, 3, replica.url);
      const missed = await stage.publish(deviceAt(stage, 2));
      using watch = await subscribeBatched(target, stage, {}, replica.url);
      await watch.until(
        'it is known',
        () => isHeld(heldBy(watch, stage.topic), deviceAt(stage, 2), missed.fixAtMs),
        target.refreshMs,
      );
      const { peer, recovered } = await resume(target, stage, point, replica.url);
      using back = peer;
      equal(recovered, true);
      await back.until('what was missed is shown', () =>
        isHeld(heldBy(back, stage.topic, held), deviceAt(stage, 2), missed.fixAtMs),
      );
      deepEqual(heldBy(back, stage.topic, held), heldBy(watch, stage.topic));
    },
    { pace: 'together' },
  ),
  ...(
    [
      ['another epoch', (point: object) => ({ ...point, epoch: 'another' })],
      ['a cursor that is none', (point: object) => ({ ...point, cursor: 'nonsense' })],
      ['another bbox', (point: object) => ({ ...point, bbox: [-180, -90, 180, 90] })],
    ] as const
  ).map(([what, change]) =>
    sentence(
      `batched: a resume with ${what} says recovered:false, and a full snapshot follows`,
      ['openStage'],
      async (target) => {
        await using stage = await openKnownStage(target);
        const { point } = await leaveAt(target, stage);
        const { peer, recovered } = await resume(target, stage, change(point));
        using back = peer;
        equal(recovered, false);
        await expectFullSnapshot(back, stage);
      },
    ),
  ),
  sentence(
    'batched: a resume after the devices of the event have changed says recovered:false, and a full snapshot follows',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const { point } = await leaveAt(target, stage);
      await stage.addDevice();
      await untilKnown(target, stage, 4);
      const { peer, recovered } = await resume(target, stage, point);
      using back = peer;
      equal(recovered, false);
      await expectFullSnapshot(back, stage);
    },
  ),
  sentence(
    'batched: a cursor from within a bbox resumes with the same bbox',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const bbox = [0, 0, 90, 90];
      const { point } = await leaveAt(target, stage, { bbox });
      const { peer, recovered } = await resume(target, stage, { ...point, bbox });
      using back = peer;
      equal(recovered, true);
      await back.settle();
      deepEqual(back.all('snapshot'), []);
    },
  ),
  sentence(
    'batched: a cursor ahead of the server is answered unavailable, for now, after a wait of up to 2 s',
    ['openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      const { point } = await leaveAt(target, stage);
      // A cursor is opaque to clients. This suite knows that an id of Redis, a time in ms, is in it.
      const cursor = point.cursor.replace(/\d{13}/u, (ms) => String(Number(ms) + 3_600_000));
      ok(cursor !== point.cursor, 'the suite cannot make a cursor of the future for this server');
      using peer = await connect(target, 'batched', stage.session);
      const askedAtMs = performance.now();
      await peer.say({ type: 'subscribe', id: 1, topic: stage.topic, epoch: point.epoch, cursor });
      const error = await peer.next('error');
      deepEqual([error.id, error.code, error.temporary], [1, 'unavailable', true]);
      ok(performance.now() - askedAtMs < 2_000 + target.answerMs, 'more than 2 s');
      deepEqual(peer.all('snapshot'), [], 'a snapshot older than what the client holds');
    },
  ),
  sentence(
    'batched: when the stream went back, everyone is told resync, and a snapshot follows',
    ['replicas', 'ownStream', 'session', 'eventId'],
    async (target) => {
      await using stream = await target.ownStream();
      await using replica = await target.replicas.start({ REDIS_TELEMETRY_STREAM: stream.key });
      using peer = await connect(target, 'batched', target.session, { url: replica.url });
      const topic = `event:${target.eventId}`;
      await peer.say({ type: 'subscribe', topic });
      const { epoch } = await peer.next('subscribed');
      await peer.next('snapshot', ({ last }) => last === true);
      const point = resumePoint(peer);
      await stream.goBack();
      equal((await peer.next('resync', () => true, target.refreshMs)).topic, topic);
      await peer.next('snapshot', ({ part }) => part === 0, target.refreshMs);
      using back = await connect(target, 'batched', target.session, { url: replica.url });
      await back.say({ type: 'subscribe', topic, ...point });
      const again = await back.next('subscribed');
      deepEqual([again.recovered, again.epoch === epoch], [false, false], 'the epoch of before');
    },
    { covers: ['message resync'], pace: 'together' },
  ),
];
