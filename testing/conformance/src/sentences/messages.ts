import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isTemporaryError } from '@app/shared/protocol';
import type { ErrorCode } from '@app/shared/protocol';
import { connect } from '../peer.ts';
import type { Dialect, Peer } from '../peer.ts';
import { sentence } from '../sentence.ts';
import type { Sentence } from '../sentence.ts';

/** Sends it and expects this error, with this id, and a connection that is still good. */
async function expectError(
  peer: Peer<Dialect>,
  message: object | string,
  code: ErrorCode,
  id?: string | number,
): Promise<void> {
  const before = peer.all('error').length;
  await peer.say(message);
  await peer.until(
    `${JSON.stringify(message).slice(0, 120)} is answered with an error`,
    () => peer.all('error').length > before,
  );
  // A second answer would have come by then.
  await peer.settle();
  const errors = peer.all('error').slice(before);
  const what = JSON.stringify(message).slice(0, 120);
  deepEqual(
    errors.map((error) => [error.code, error.id, error.temporary]),
    [[code, id, isTemporaryError(code)]],
    `${what} was answered ${JSON.stringify(errors)}`,
  );
}

/** A ping of so many bytes. */
function pingOf(bytes: number): string {
  const empty = '{"type":"ping","id":1,"x":""}';
  return empty.replace('""', `"${'y'.repeat(bytes - empty.length)}"`);
}

const nowhere = (): string => `event:${randomUUID()}`;

const notEvents = [
  'event:',
  'event:.',
  'event:%2e',
  'event:../../users/me',
  'event:..%2f..%2fusers%2fme',
  'vehicle:0190c5de-7a5b-7000-8000-000000000001',
  '0190c5de-7a5b-7000-8000-000000000001',
  'event:0190C5DE-7A5B-7000-8000-000000000001',
  'event:0190c5de-7a5b-7000-8000-000000000001/x',
  'event:0190c5de-7a5b-7000-8000-000000000001?fields=*',
  '',
];

const notMessages = ['', '{', 'null', '1', '"ping"', '[]', '[{"type":"ping"}]', '{"type":"ping"', 'true'];

/** Each of them holds in either dialect. */
function messageSentences(dialect: Dialect): readonly Sentence[] {
  const here = (says: string): string => `${dialect}: ${says}`;
  return [
    sentence(
      here('each id, a number or a text up to 64, comes back in exactly one reply'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const ids = [1, 0, -7, 1.5, 9007199254740991, '', 'a', 'ß€🛰', 'x'.repeat(64)];
        for (const id of ids) {
          await peer.say({ type: 'ping', id });
          await peer.next('pong', (pong) => pong.id === id);
        }
        peer.send({ type: 'subscribe', id: 'once', topic: nowhere() });
        await peer.next('error', (error) => error.id === 'once');
        await peer.settle();
        for (const id of [...ids, 'once']) {
          const replies = peer.heard.filter(({ message }) => 'id' in message && message.id === id);
          equal(replies.length, 1, `the id ${JSON.stringify(id)} came back ${replies.length} times`);
        }
      },
      { covers: ['message pong'] },
    ),
    sentence(here('a message without an id has a reply without one'), ['session'], async (target) => {
      using peer = await connect(target, dialect, target.session);
      peer.send({ type: 'ping' });
      equal((await peer.next('pong')).id, undefined);
    }),
    sentence(here('an id that is none is a bad-message'), ['session'], async (target) => {
      using peer = await connect(target, dialect, target.session);
      for (const id of ['x'.repeat(65), null, true, {}, [1]]) {
        await expectError(peer, { type: 'ping', id }, 'bad-message');
      }
    }),
    sentence(here('fields that are not known are ignored'), ['session'], async (target) => {
      using peer = await connect(target, dialect, target.session);
      peer.send({ type: 'ping', id: 1, colour: 'red', topic: 7, deep: { er: [] } });
      equal((await peer.next('pong')).id, 1);
    }),
    sentence(
      here('a type that is not known is answered unknown-type'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        for (const type of ['dance', '', '__proto__', 'SUBSCRIBE', 'hello']) {
          await expectError(peer, { type, id: type.length }, 'unknown-type', type.length);
        }
      },
      { covers: ['error unknown-type'] },
    ),
    sentence(
      here('what is not JSON or not an object is answered bad-message, and the connection goes on'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        for (const text of notMessages) await expectError(peer, text, 'bad-message');
        await expectError(peer, { id: 5 }, 'bad-message', 5);
        await expectError(peer, { type: 3, id: 6 }, 'bad-message', 6);
      },
      { covers: ['error bad-message'] },
    ),
    sentence(
      here('a topic that is not event:<uuid> is answered unknown-topic'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        for (const topic of notEvents)
          await expectError(peer, { type: 'subscribe', id: 1, topic }, 'unknown-topic', 1);
        await expectError(peer, { type: 'subscribe', id: 2 }, 'bad-message', 2);
        await expectError(peer, { type: 'subscribe', id: 3, topic: 3 }, 'bad-message', 3);
      },
      { covers: ['error unknown-topic'] },
    ),
    sentence(
      here('an event that does not exist is answered forbidden'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        await expectError(peer, { type: 'subscribe', id: 1, topic: nowhere() }, 'forbidden', 1);
      },
      { covers: ['error forbidden'] },
    ),
    sentence(
      here('an event that exists and is somebody else’s is answered forbidden'),
      ['openStage', 'session'],
      async (target) => {
        await using stage = await target.openStage();
        using peer = await connect(target, dialect, target.session);
        if (target.eventId === stage.eventId) return;
        await expectError(peer, { type: 'subscribe', id: 1, topic: stage.topic }, 'forbidden', 1);
      },
    ),
    sentence(here('a maxHz outside of 0.5..20 is a bad-message'), ['session'], async (target) => {
      using peer = await connect(target, dialect, target.session);
      for (const maxHz of [0, 0.49, 20.1, -1, '4', null, [4]]) {
        await expectError(peer, { type: 'subscribe', id: 1, topic: nowhere(), maxHz }, 'bad-message', 1);
      }
    }),
    sentence(
      here('a bbox that is none is answered bad-bbox'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const notBoxes = [
          [],
          [1, 2],
          [1, 2, 3],
          [0, 0, 1, 1, 1],
          [0, 10, 10, 0],
          [-181, 0, 0, 0],
          [0, 0, 181, 0],
          [0, -91, 0, 0],
          ['0', 0, 1, 1],
          'all',
          {},
        ];
        for (const bbox of notBoxes) {
          await expectError(peer, { type: 'subscribe', id: 1, topic: nowhere(), bbox }, 'bad-bbox', 1);
        }
      },
      { covers: ['error bad-bbox'] },
    ),
    sentence(
      here('a cursor without its epoch, or an epoch alone, is a bad-message'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const topic = nowhere();
        await expectError(peer, { type: 'subscribe', id: 1, topic, cursor: 'c' }, 'bad-message', 1);
        await expectError(peer, { type: 'subscribe', id: 2, topic, epoch: 'e' }, 'bad-message', 2);
      },
    ),
    sentence(
      here('who is not subscribed to a topic is told so'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        await expectError(peer, { type: 'unsubscribe', id: 1, topic: nowhere() }, 'not-subscribed', 1);
        await expectError(peer, { type: 'update', id: 2, topic: nowhere(), maxHz: 1 }, 'not-subscribed', 2);
      },
      { covers: ['error not-subscribed'] },
    ),
    sentence(
      here(
        'a second subscribe to a topic is answered already-subscribed, and counts while the first is still examined',
      ),
      ['session', 'eventId'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const topic = `event:${target.eventId}`;
        peer.send({ type: 'subscribe', id: 1, topic });
        peer.send({ type: 'subscribe', id: 2, topic });
        const error = await peer.next('error');
        deepEqual([error.code, error.id, error.temporary], ['already-subscribed', 2, false]);
        equal((await peer.next('subscribed')).id, 1);
        await expectError(peer, { type: 'subscribe', id: 3, topic }, 'already-subscribed', 3);
      },
      { covers: ['error already-subscribed', 'message subscribed'] },
    ),
    sentence(
      here(
        'more subscriptions than a connection may have are answered too-many-subscriptions, those still examined included',
      ),
      ['session', 'directus'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const { subscriptions } = target.limits;
        await target.directus.be('slow');
        try {
          for (let id = 0; id <= subscriptions; id += 1)
            await peer.say({ type: 'subscribe', id, topic: nowhere() });
          const error = await peer.next('error', ({ code }) => code === 'too-many-subscriptions');
          deepEqual([error.id, error.temporary], [subscriptions, false]);
        } finally {
          await target.directus.be('ok');
        }
      },
      { covers: ['error too-many-subscriptions'] },
    ),
    sentence(
      here('update is answered updated, one without a view too; a bad view is refused'),
      ['session', 'eventId'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const topic = `event:${target.eventId}`;
        await peer.say({ type: 'subscribe', topic });
        await peer.next('subscribed');
        const views = [{ maxHz: 0.5 }, { maxHz: 20 }, { bbox: [170, -10, -170, 10] }, { bbox: null }, {}];
        for (const [id, view] of views.entries()) {
          await peer.say({ type: 'update', id, topic, ...view });
          const updated = await peer.next('updated');
          deepEqual([updated.id, updated.topic], [id, topic]);
        }
        await expectError(peer, { type: 'update', id: 'b', topic, bbox: [1, 2] }, 'bad-bbox', 'b');
        await expectError(peer, { type: 'update', id: 'r', topic, maxHz: 99 }, 'bad-message', 'r');
      },
      { covers: ['message updated'] },
    ),
    sentence(
      here('unsubscribe is answered unsubscribed, and the topic is free again'),
      ['session', 'eventId'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        const topic = `event:${target.eventId}`;
        for (const id of [1, 2]) {
          peer.send({ type: 'subscribe', id, topic });
          await peer.next('subscribed');
          peer.send({ type: 'unsubscribe', id: `bye ${id}`, topic });
          const unsubscribed = await peer.next('unsubscribed');
          deepEqual(
            [unsubscribed.topic, unsubscribed.id, unsubscribed.reason],
            [topic, `bye ${id}`, undefined],
          );
        }
      },
      { covers: ['message unsubscribed'] },
    ),
    sentence(
      here('an unsubscribe while the subscribe is examined wins'),
      ['openStage', 'directus'],
      async (target) => {
        await using stage = await target.openStage();
        using peer = await connect(target, dialect, stage.session);
        await target.directus.be('slow');
        try {
          peer.send({ type: 'subscribe', id: 'in', topic: stage.topic });
          peer.send({ type: 'unsubscribe', id: 'out', topic: stage.topic });
          await peer.until('both are answered', () =>
            ['in', 'out'].every((id) =>
              peer.heard.some(({ message }) => 'id' in message && message.id === id),
            ),
          );
          deepEqual(peer.all('subscribed'), []);
        } finally {
          await target.directus.be('ok');
        }
        peer.send({ type: 'subscribe', id: 'again', topic: stage.topic });
        equal((await peer.next('subscribed')).id, 'again');
      },
    ),
    ...(['429', '500', '503', 'hang', 'refuse'] as const).map((mood) =>
      sentence(
        here(
          `while Directus is in trouble (${mood}) subscribe is answered unavailable, for now, and the topic stays free`,
        ),
        ['openStage', 'directus'],
        async (target) => {
          await using stage = await target.openStage();
          using peer = await connect(target, dialect, stage.session);
          await target.directus.be(mood);
          try {
            peer.send({ type: 'subscribe', id: 1, topic: stage.topic });
            const error = await peer.next('error');
            deepEqual([error.id, error.code, error.temporary], [1, 'unavailable', true]);
            ok((error.retryAfterMs ?? 0) > 0, 'no retryAfterMs');
          } finally {
            await target.directus.be('ok');
          }
          peer.send({ type: 'subscribe', id: 2, topic: stage.topic });
          equal((await peer.next('subscribed')).id, 2);
        },
        { covers: ['error unavailable'] },
      ),
    ),
    sentence(
      here('a session that has ended closes the connection with 4001'),
      ['directus', 'eventId'],
      async (target) => {
        const session = target.directus.newViewer(target.eventId);
        using peer = await connect(target, dialect, session);
        target.directus.expire(session);
        peer.send({ type: 'subscribe', topic: `event:${target.eventId}` });
        equal((await peer.closed()).code, 4001);
      },
      { covers: ['close 4001'] },
    ),
    sentence(
      here('a message of 4 KiB is heard, a longer one closes the connection with 4400'),
      ['session'],
      async (target) => {
        using peer = await connect(target, dialect, target.session);
        peer.send(pingOf(4096));
        await peer.next('pong');
        peer.send(pingOf(4097));
        equal((await peer.closed()).code, 4400);
        using wide = await connect(target, dialect, target.session);
        wide.send(`{"type":"ping","x":"${'€'.repeat(1400)}"}`);
        equal((await wide.closed()).code, 4400, 'the bytes count, not the characters');
      },
      { covers: ['close 4400'] },
    ),
    sentence(here('a binary message closes the connection with 4400'), ['session'], async (target) => {
      using peer = await connect(target, dialect, target.session);
      peer.send(Buffer.from('{"type":"ping"}'));
      equal((await peer.closed()).code, 4400);
    }),
    sentence(
      here(
        'too many messages are answered rate-limited, for now and each with its id; who goes on is closed with 4005',
      ),
      ['session'],
      async (target) => {
        const { limits } = target;
        using peer = await connect(target, dialect, target.session);
        const count = Math.ceil(6 * limits.messagesPerS + 20);
        for (let id = 0; id < count; id += 1) peer.send({ type: 'ping', id });
        const error = await peer.next('error');
        deepEqual([error.code, error.temporary, typeof error.id], ['rate-limited', true, 'number']);
        ok((error.retryAfterMs ?? 0) > 0, 'no retryAfterMs');
        equal((await peer.closed()).code, 4005);
      },
      { covers: ['error rate-limited', 'close 4005'] },
    ),
  ];
}

export const bothDialectsSentences = [...messageSentences('plain'), ...messageSentences('batched')];
