import { deepEqual, equal, ok } from 'node:assert/strict';
import { Peer, connect, tryConnect } from '../peer.ts';
import type { Dialect } from '../peer.ts';
import { sentence } from '../sentence.ts';
import { deviceAt, heldBy, isHeld, openKnownStage, subscribeBatched } from './known-stage.ts';

export const endingSentences = [
  sentence(
    'a client that gives no sign of life is closed with 4003',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_WS_PING_INTERVAL_MS: '1000' });
      using mute = await connect(target, 'plain', target.session, { url: replica.url, autoPong: false });
      using answering = await connect(target, 'plain', target.session, { url: replica.url });
      equal((await mute.closed(target.answerMs + 10_000)).code, 4003);
      await answering.settle();
    },
    { covers: ['close 4003'], pace: 'together' },
  ),
  sentence(
    'a user who opens too many connections loses the oldest, with 4403',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_MAX_CONNECTIONS_PER_USER: '2' });
      using stack = new DisposableStack();
      const peers: Peer<Dialect>[] = [];
      for (let count = 0; count < 3; count += 1) {
        peers.push(stack.use(await connect(target, 'plain', target.session, { url: replica.url })));
      }
      const [oldest, ...others] = peers;
      ok(oldest !== undefined, 'none');
      equal((await oldest.closed()).code, 4403);
      for (const other of others) await other.settle();
    },
    { covers: ['close 4403'], pace: 'together' },
  ),
  sentence(
    'a client that does not read for too long is closed with 4002, which it may see as 1006; the others miss nothing',
    ['openStage', 'replicas'],
    async (target) => {
      await using stage = await openKnownStage(target);
      await using replica = await target.replicas.start({
        LIVE_LAG_LIMIT_MS: '1000',
        LIVE_UNANSWERED_BYTES: '1024',
        LIVE_WS_PING_INTERVAL_MS: '30000',
      });
      using stalled = await subscribeBatched(target, stage, {}, replica.url);
      using reading = await subscribeBatched(target, stage, {}, replica.url);
      stalled.socket.pause();
      const deadlineMs = performance.now() + target.answerMs + 10_000;
      let resumed = false;
      while (!stalled.isClosed && performance.now() < deadlineMs) {
        const fix = await stage.publish(deviceAt(stage, 0));
        await reading.until('the others go on', () =>
          isHeld(heldBy(reading, stage.topic), deviceAt(stage, 0), fix.fixAtMs),
        );
        // Long after the limit it reads again: the close frame, or the end of the connection.
        if (!resumed && performance.now() > deadlineMs - target.answerMs) {
          resumed = true;
          stalled.socket.resume();
        }
      }
      const { code } = await stalled.closed();
      ok(code === 4002 || code === 1006, `closed with ${code}`);
    },
    { covers: ['close 4002'], pace: 'together' },
  ),
  sentence(
    'a connection that has reached its maximum age is closed with 4000',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_MAX_CONNECTION_AGE_MS: '1000' });
      using peer = await connect(target, 'plain', target.session, { url: replica.url });
      equal((await peer.closed(target.answerMs + 5_000)).code, 4000);
    },
    { covers: ['close 4000'], pace: 'together' },
  ),
  sentence(
    'a server that stops answers whoever comes with 503, tells everyone reconnect with afterMs, and closes with 1012',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({
        LIVE_WS_DRAIN_NOTICE_MS: '1500',
        LIVE_WS_DRAIN_TIMEOUT_MS: '500',
      });
      using batched = await connect(target, 'batched', target.session, { url: replica.url });
      using plain = await connect(target, 'plain', target.session, { url: replica.url });
      const stopped = replica.stop();
      const { origin, session } = target;
      let refusal: Awaited<ReturnType<typeof tryConnect<'plain'>>>;
      do {
        // The signal may take a moment to arrive.
        refusal = await tryConnect({ ...target, url: replica.url }, 'plain', { origin, session });
        if (refusal instanceof Peer) refusal[Symbol.dispose]();
      } while (refusal instanceof Peer);
      equal(refusal.status, 503);
      ok(Number(refusal.retryAfter) > 0, 'no Retry-After');
      for (const peer of [batched, plain]) {
        await peer.until(
          'reconnect is said',
          () => peer.heard.some(({ message }) => message.type === 'reconnect'),
          target.answerMs + 2_000,
        );
        equal((await peer.closed()).code, 1012);
      }
      await stopped;
    },
    { covers: ['message reconnect', 'close 1012'], pace: 'together' },
  ),
  sentence(
    'where the plain dialect is off, who does not ask for live.v1 is refused',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_PLAIN_DIALECT: 'off' });
      const { origin, session } = target;
      const refusal = await tryConnect({ ...target, url: replica.url }, 'plain', { origin, session });
      ok(!(refusal instanceof Peer), 'let in');
      ok(refusal.status >= 400 && refusal.status < 500, `answered ${refusal.status}`);
      using peer = await connect(target, 'batched', session, { url: replica.url });
      await peer.next('hello');
    },
    { pace: 'together' },
  ),
  sentence(
    'a permission that is withdrawn ends its subscription with unsubscribed and the reason forbidden; the others go on',
    ['directus', 'replicas', 'eventId', 'openStage'],
    async (target) => {
      await using stage = await openKnownStage(target);
      await using replica = await target.replicas.start({ REAUTHORIZE_INTERVAL_MS: '500' });
      const session = target.directus.newViewer(target.eventId, stage.eventId);
      for (const dialect of ['plain', 'batched'] as const) {
        using peer = await connect(target, dialect, session, { url: replica.url });
        for (const topic of [`event:${target.eventId}`, stage.topic]) {
          await peer.say({ type: 'subscribe', topic });
          await peer.next('subscribed', (subscribed) => subscribed.topic === topic);
        }
        target.directus.forbid(session.userId, stage.eventId);
        const ended = await peer.next('unsubscribed', () => true, target.answerMs + 2_000);
        deepEqual([ended.topic, ended.reason], [stage.topic, 'forbidden']);
        await peer.settle();
        target.directus.allow(session.userId, stage.eventId);
      }
    },
    { pace: 'together' },
  ),
  sentence(
    'a session that ends while somebody watches closes the connection with 4001',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start({ REAUTHORIZE_INTERVAL_MS: '500' });
      const session = target.directus.newViewer(target.eventId);
      using peer = await connect(target, 'plain', session, { url: replica.url });
      await peer.say({ type: 'subscribe', topic: `event:${target.eventId}` });
      await peer.next('subscribed');
      target.directus.expire(session);
      equal((await peer.closed(target.answerMs + 2_000)).code, 4001);
    },
    { pace: 'together' },
  ),
  sentence(
    'while Directus is down those who watch are kept, and closed with 1013 only after the grace',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start({
        REAUTHORIZE_INTERVAL_MS: '300',
        REAUTHORIZE_GRACE_MS: '2500',
      });
      const session = target.directus.newViewer(target.eventId);
      using peer = await connect(target, 'plain', session, { url: replica.url });
      await peer.say({ type: 'subscribe', topic: `event:${target.eventId}` });
      await peer.next('subscribed');
      const downAtMs = performance.now();
      await target.directus.be('503');
      try {
        equal((await peer.closed(target.answerMs + 10_000)).code, 1013);
        ok(performance.now() - downAtMs >= 2_000, 'within the grace');
      } finally {
        await target.directus.be('ok');
      }
    },
    { covers: ['close 1013'] },
  ),
];
