import { deepEqual, equal, ok } from 'node:assert/strict';
import { Client, connect, tryConnect } from '../client.ts';
import type { Dialect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import { deviceAt, openKnownEvent, subscribeBatched, untilHeld } from './known-event.ts';

export const disconnectCases = [
  defineCase(
    'a client that answers no ping is closed with 4003',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_WS_PING_INTERVAL_MS: '1000' });
      using silent = await connect(target, 'plain', target.session, { url: replica.url, autoPong: false });
      using answering = await connect(target, 'plain', target.session, { url: replica.url });
      equal(await silent.closed(target.answerMs + 10_000), 4003);
      await answering.roundTrip();
    },
    { covers: ['close 4003'], schedule: 'parallel' },
  ),
  defineCase(
    'when a user opens too many connections the oldest is closed with 4403',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_MAX_CONNECTIONS_PER_USER: '2' });
      using stack = new DisposableStack();
      const clients: Client<Dialect>[] = [];
      for (let count = 0; count < 3; count += 1) {
        clients.push(stack.use(await connect(target, 'plain', target.session, { url: replica.url })));
      }
      const [oldest, ...others] = clients;
      ok(oldest !== undefined, 'no connection');
      equal(await oldest.closed(), 4403);
      for (const other of others) await other.roundTrip();
    },
    { covers: ['close 4403'], schedule: 'parallel' },
  ),
  defineCase(
    'a client that does not read for too long is closed with 4002 (or sees 1006) and does not delay others',
    ['openTestEvent', 'replicas'],
    async (target) => {
      await using event = await openKnownEvent(target);
      await using replica = await target.replicas.start({
        LIVE_LAG_LIMIT_MS: '1000',
        LIVE_UNANSWERED_BYTES: '1024',
        LIVE_WS_PING_INTERVAL_MS: '30000',
      });
      using stalled = await subscribeBatched(target, event, {}, replica.url);
      using reading = await subscribeBatched(target, event, {}, replica.url);
      stalled.socket.pause();
      const deadlineMs = performance.now() + target.answerMs + 10_000;
      let resumed = false;
      while (!stalled.isClosed && performance.now() < deadlineMs) {
        const fix = await event.publish(deviceAt(event, 0));
        await untilHeld(reading, event, deviceAt(event, 0), fix.fixAtMs);
        // Long after the limit, read the close frame or the end of the connection.
        if (!resumed && performance.now() > deadlineMs - target.answerMs) {
          resumed = true;
          stalled.socket.resume();
        }
      }
      const code = await stalled.closed();
      ok(code === 4002 || code === 1006, `closed with ${code}`);
    },
    { covers: ['close 4002'], schedule: 'parallel' },
  ),
  defineCase(
    'a connection at its maximum age is closed with 4000',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_MAX_CONNECTION_AGE_MS: '1000' });
      using client = await connect(target, 'plain', target.session, { url: replica.url });
      equal(await client.closed(target.answerMs + 5_000), 4000);
    },
    { covers: ['close 4000'], schedule: 'parallel' },
  ),
  defineCase(
    'a draining server answers upgrades 503, sends reconnect with afterMs, and closes with 1012',
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
        // Accepts clients until it handles the signal.
        refusal = await tryConnect({ ...target, url: replica.url }, 'plain', { origin, session });
        if (refusal instanceof Client) refusal[Symbol.dispose]();
      } while (refusal instanceof Client);
      equal(refusal.status, 503);
      ok(Number(refusal.retryAfter) > 0, 'no Retry-After');
      for (const client of [batched, plain]) {
        await client.until(
          'reconnect was received',
          () => client.received.some(({ message }) => message.type === 'reconnect'),
          target.answerMs + 2_000,
        );
        equal(await client.closed(), 1012);
      }
      await stopped;
    },
    { covers: ['message reconnect', 'close 1012'], schedule: 'parallel' },
  ),
  defineCase(
    'with the plain dialect off a client that does not offer live.v1 is refused',
    ['session', 'replicas'],
    async (target) => {
      await using replica = await target.replicas.start({ LIVE_PLAIN_DIALECT: 'off' });
      const { origin, session } = target;
      const refusal = await tryConnect({ ...target, url: replica.url }, 'plain', { origin, session });
      ok(!(refusal instanceof Client), 'the upgrade was accepted');
      ok(refusal.status >= 400 && refusal.status < 500, `answered ${refusal.status}`);
      using client = await connect(target, 'batched', session, { url: replica.url });
      await client.next('hello');
    },
    { schedule: 'parallel' },
  ),
  defineCase(
    'a withdrawn permission ends its subscription with unsubscribed and reason forbidden; others continue',
    ['directus', 'replicas', 'eventId', 'openTestEvent'],
    async (target) => {
      await using event = await openKnownEvent(target);
      await using replica = await target.replicas.start({ REAUTHORIZE_INTERVAL_MS: '500' });
      const session = target.directus.newViewer(target.eventId, event.eventId);
      for (const dialect of ['plain', 'batched'] as const) {
        using client = await connect(target, dialect, session, { url: replica.url });
        for (const topic of [`event:${target.eventId}`, event.topic]) {
          await client.send({ type: 'subscribe', topic });
          await client.next('subscribed', (subscribed) => subscribed.topic === topic);
        }
        target.directus.forbid(session.userId, event.eventId);
        const ended = await client.next('unsubscribed', () => true, target.answerMs + 2_000);
        deepEqual([ended.topic, ended.reason], [event.topic, 'forbidden']);
        await client.roundTrip();
        target.directus.allow(session.userId, event.eventId);
      }
    },
    { schedule: 'parallel' },
  ),
  defineCase(
    'a session that expires during a subscription closes the connection with 4001',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start({ REAUTHORIZE_INTERVAL_MS: '500' });
      const session = target.directus.newViewer(target.eventId);
      using client = await connect(target, 'plain', session, { url: replica.url });
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');
      target.directus.expire(session);
      equal(await client.closed(target.answerMs + 2_000), 4001);
    },
    { schedule: 'parallel' },
  ),
  defineCase(
    'while Directus is down subscriptions continue for the grace period, then the connection is closed with 1013',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start({
        REAUTHORIZE_INTERVAL_MS: '300',
        REAUTHORIZE_GRACE_MS: '2500',
      });
      const session = target.directus.newViewer(target.eventId);
      using client = await connect(target, 'plain', session, { url: replica.url });
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');
      const downAtMs = performance.now();
      await target.directus.during('503', async () => {
        equal(await client.closed(target.answerMs + 10_000), 1013);
        ok(performance.now() - downAtMs >= 2_000, 'closed within the grace period');
      });
    },
    { covers: ['close 1013'] },
  ),
];
