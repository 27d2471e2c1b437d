import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isTemporaryError } from '@app/shared/protocol';
import type { ErrorCode } from '@app/shared/protocol';
import { connect } from '../client.ts';
import type { Client, Dialect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { ConformanceCase } from '../conformance-case.ts';
import type { Capabilities, Target } from '../target.ts';

/** Sends a message; expects exactly this error and a connection that still works. */
async function expectError(
  client: Client<Dialect>,
  message: object | string,
  code: ErrorCode,
  id?: string | number,
): Promise<void> {
  const before = client.all('error').length;
  const what = JSON.stringify(message).slice(0, 120);
  await client.send(message);
  await client.until(`${what} is answered with an error`, () => client.all('error').length > before);
  // A second error would arrive before the pong.
  await client.roundTrip();
  const errors = client.all('error').slice(before);
  deepEqual(
    errors.map((error) => [error.code, error.id, error.temporary]),
    [[code, id, isTemporaryError(code)]],
    `${what} was answered ${JSON.stringify(errors)}`,
  );
}

function pingOfBytes(bytes: number): string {
  const empty = '{"type":"ping","id":1,"x":""}';
  return empty.replace('""', `"${'y'.repeat(bytes - empty.length)}"`);
}

const unknownEvent = (): string => `event:${randomUUID()}`;

const invalidTopics = [
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

const invalidMessages = ['', '{', 'null', '1', '"ping"', '[]', '[{"type":"ping"}]', '{"type":"ping"', 'true'];

const invalidBoxes = [
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

/** Cases that apply to both dialects. */
function messageCases(dialect: Dialect): readonly ConformanceCase[] {
  /** Defines a case with a connected client of `session`. */
  const clientCase = <const N extends keyof Capabilities = never>(
    title: string,
    needs: readonly N[],
    check: (client: Client<Dialect>, target: Target & Pick<Capabilities, N>) => Promise<void>,
    ...covers: readonly string[]
  ): ConformanceCase =>
    defineCase<N | 'session'>(
      `${dialect}: ${title}`,
      ['session', ...needs],
      async (target) => {
        using client = await connect(target, dialect, target.session);
        await check(client, target);
      },
      { covers },
    );

  return [
    clientCase(
      'each id (number or string up to 64 characters) is repeated in exactly one reply',
      [],
      async (client) => {
        const ids = [1, 0, -7, 1.5, 9007199254740991, '', 'a', 'ß€🛰', 'x'.repeat(64)];
        for (const id of ids) {
          await client.send({ type: 'ping', id });
          await client.next('pong', (pong) => pong.id === id);
        }
        client.sendNow({ type: 'subscribe', id: 'once', topic: unknownEvent() });
        await client.next('error', (error) => error.id === 'once');
        await client.roundTrip();
        for (const id of [...ids, 'once']) {
          const replies = client.received.filter(({ message }) => 'id' in message && message.id === id);
          equal(replies.length, 1, `${replies.length} replies with the id ${JSON.stringify(id)}`);
        }
      },
      'message pong',
    ),
    clientCase('a message without id gets a reply without id', [], async (client) => {
      client.sendNow({ type: 'ping' });
      equal((await client.next('pong')).id, undefined);
    }),
    clientCase('an invalid id is answered bad-message', [], async (client) => {
      for (const id of ['x'.repeat(65), null, true, {}, [1]]) {
        await expectError(client, { type: 'ping', id }, 'bad-message');
      }
    }),
    clientCase('unknown fields are ignored', [], async (client) => {
      client.sendNow({ type: 'ping', id: 1, colour: 'red', topic: 7, deep: { er: [] } });
      equal((await client.next('pong')).id, 1);
    }),
    clientCase(
      'an unknown type is answered unknown-type',
      [],
      async (client) => {
        for (const type of ['dance', '', '__proto__', 'SUBSCRIBE', 'hello']) {
          await expectError(client, { type, id: type.length }, 'unknown-type', type.length);
        }
      },
      'error unknown-type',
    ),
    clientCase(
      'invalid JSON, or JSON that is not an object, is answered bad-message, and the connection stays open',
      [],
      async (client) => {
        for (const message of invalidMessages) await expectError(client, message, 'bad-message');
        await expectError(client, { id: 5 }, 'bad-message', 5);
        await expectError(client, { type: 3, id: 6 }, 'bad-message', 6);
      },
      'error bad-message',
    ),
    clientCase(
      'a topic that is not event:<uuid> is answered unknown-topic',
      [],
      async (client) => {
        for (const topic of invalidTopics)
          await expectError(client, { type: 'subscribe', id: 1, topic }, 'unknown-topic', 1);
        await expectError(client, { type: 'subscribe', id: 2 }, 'bad-message', 2);
        await expectError(client, { type: 'subscribe', id: 3, topic: 3 }, 'bad-message', 3);
      },
      'error unknown-topic',
    ),
    clientCase(
      'an event that does not exist is answered forbidden',
      [],
      async (client) => {
        await expectError(client, { type: 'subscribe', id: 1, topic: unknownEvent() }, 'forbidden', 1);
      },
      'error forbidden',
    ),
    clientCase(
      'an event that the user may not see is answered forbidden',
      ['openTestEvent'],
      async (client, target) => {
        await using event = await target.openTestEvent();
        if (target.eventId === event.eventId) return;
        await expectError(client, { type: 'subscribe', id: 1, topic: event.topic }, 'forbidden', 1);
      },
    ),
    clientCase('a maxHz outside 0.5..20 is answered bad-message', [], async (client) => {
      for (const maxHz of [0, 0.49, 20.1, -1, '4', null, [4]]) {
        const subscribe = { type: 'subscribe', id: 1, topic: unknownEvent(), maxHz };
        await expectError(client, subscribe, 'bad-message', 1);
      }
    }),
    clientCase(
      'an invalid bbox is answered bad-bbox',
      [],
      async (client) => {
        for (const bbox of invalidBoxes) {
          await expectError(client, { type: 'subscribe', id: 1, topic: unknownEvent(), bbox }, 'bad-bbox', 1);
        }
      },
      'error bad-bbox',
    ),
    clientCase(
      'a cursor without epoch, or an epoch without cursor, is answered bad-message',
      [],
      async (client) => {
        const topic = unknownEvent();
        await expectError(client, { type: 'subscribe', id: 1, topic, cursor: 'c' }, 'bad-message', 1);
        await expectError(client, { type: 'subscribe', id: 2, topic, epoch: 'e' }, 'bad-message', 2);
      },
    ),
    clientCase(
      'unsubscribe and update without a subscription are answered not-subscribed',
      [],
      async (client) => {
        const topic = unknownEvent();
        await expectError(client, { type: 'unsubscribe', id: 1, topic }, 'not-subscribed', 1);
        await expectError(client, { type: 'update', id: 2, topic, maxHz: 1 }, 'not-subscribed', 2);
      },
      'error not-subscribed',
    ),
    clientCase(
      'a second subscribe to a topic is answered already-subscribed, also while the first is being authorised',
      ['eventId'],
      async (client, target) => {
        const topic = `event:${target.eventId}`;
        client.sendNow({ type: 'subscribe', id: 1, topic });
        client.sendNow({ type: 'subscribe', id: 2, topic });
        const error = await client.next('error');
        deepEqual([error.code, error.id, error.temporary], ['already-subscribed', 2, false]);
        equal((await client.next('subscribed')).id, 1);
        await expectError(client, { type: 'subscribe', id: 3, topic }, 'already-subscribed', 3);
      },
      'error already-subscribed',
      'message subscribed',
    ),
    clientCase(
      'a subscribe beyond the limit is answered too-many-subscriptions; those being authorised count',
      ['directus'],
      async (client, { directus, limits }) => {
        await directus.during('slow', async () => {
          for (let id = 0; id <= limits.subscriptions; id += 1)
            await client.send({ type: 'subscribe', id, topic: unknownEvent() });
          const error = await client.next('error', ({ code }) => code === 'too-many-subscriptions');
          deepEqual([error.id, error.temporary], [limits.subscriptions, false]);
        });
      },
      'error too-many-subscriptions',
    ),
    clientCase(
      'update is answered updated, also without maxHz and bbox; invalid ones are refused',
      ['eventId'],
      async (client, target) => {
        const topic = `event:${target.eventId}`;
        await client.send({ type: 'subscribe', topic });
        await client.next('subscribed');
        const views = [{ maxHz: 0.5 }, { maxHz: 20 }, { bbox: [170, -10, -170, 10] }, { bbox: null }, {}];
        for (const [id, view] of views.entries()) {
          await client.send({ type: 'update', id, topic, ...view });
          const updated = await client.next('updated');
          deepEqual([updated.id, updated.topic], [id, topic]);
        }
        await expectError(client, { type: 'update', id: 'b', topic, bbox: [1, 2] }, 'bad-bbox', 'b');
        await expectError(client, { type: 'update', id: 'r', topic, maxHz: 99 }, 'bad-message', 'r');
      },
      'message updated',
    ),
    clientCase(
      'unsubscribe is answered unsubscribed, and the topic can be subscribed again',
      ['eventId'],
      async (client, target) => {
        const topic = `event:${target.eventId}`;
        for (const id of [1, 2]) {
          client.sendNow({ type: 'subscribe', id, topic });
          await client.next('subscribed');
          client.sendNow({ type: 'unsubscribe', id: `bye ${id}`, topic });
          const unsubscribed = await client.next('unsubscribed');
          deepEqual(
            [unsubscribed.topic, unsubscribed.id, unsubscribed.reason],
            [topic, `bye ${id}`, undefined],
          );
        }
      },
      'message unsubscribed',
    ),
    defineCase(
      `${dialect}: an unsubscribe cancels a subscribe that is being authorised`,
      ['openTestEvent', 'directus'],
      async ({ directus, ...target }) => {
        await using event = await target.openTestEvent();
        using client = await connect(target, dialect, event.session);
        await directus.during('slow', async () => {
          client.sendNow({ type: 'subscribe', id: 'in', topic: event.topic });
          client.sendNow({ type: 'unsubscribe', id: 'out', topic: event.topic });
          await client.until('both are answered', () =>
            ['in', 'out'].every((id) =>
              client.received.some(({ message }) => 'id' in message && message.id === id),
            ),
          );
          deepEqual(client.all('subscribed'), []);
        });
        client.sendNow({ type: 'subscribe', id: 'again', topic: event.topic });
        equal((await client.next('subscribed')).id, 'again');
      },
    ),
    ...(['429', '500', '503', 'hang', 'refuse'] as const).map((mode) =>
      defineCase(
        `${dialect}: while Directus fails (${mode}) subscribe is answered with a temporary unavailable and can be repeated`,
        ['openTestEvent', 'directus'],
        async ({ directus, ...target }) => {
          await using event = await target.openTestEvent();
          using client = await connect(target, dialect, event.session);
          await directus.during(mode, async () => {
            client.sendNow({ type: 'subscribe', id: 1, topic: event.topic });
            const error = await client.next('error');
            deepEqual([error.id, error.code, error.temporary], [1, 'unavailable', true]);
            ok((error.retryAfterMs ?? 0) > 0, 'no retryAfterMs');
          });
          client.sendNow({ type: 'subscribe', id: 2, topic: event.topic });
          equal((await client.next('subscribed')).id, 2);
        },
        { covers: ['error unavailable'] },
      ),
    ),
    defineCase(
      `${dialect}: a subscribe with an expired session closes the connection with 4001`,
      ['directus', 'eventId'],
      async (target) => {
        const session = target.directus.newViewer(target.eventId);
        using client = await connect(target, dialect, session);
        target.directus.expire(session);
        client.sendNow({ type: 'subscribe', topic: `event:${target.eventId}` });
        equal(await client.closed(), 4001);
      },
      { covers: ['close 4001'] },
    ),
    clientCase(
      'a message of 4 KiB is accepted, a longer one closes the connection with 4400',
      [],
      async (client, target) => {
        client.sendNow(pingOfBytes(4096));
        await client.next('pong');
        client.sendNow(pingOfBytes(4097));
        equal(await client.closed(), 4400);
        using other = await connect(target, dialect, target.session);
        other.sendNow(`{"type":"ping","x":"${'€'.repeat(1400)}"}`);
        equal(await other.closed(), 4400, 'the limit counts characters instead of bytes');
      },
      'close 4400',
    ),
    clientCase('a binary message closes the connection with 4400', [], async (client) => {
      client.sendNow(Buffer.from('{"type":"ping"}'));
      equal(await client.closed(), 4400);
    }),
    clientCase(
      'too many messages are answered with a temporary rate-limited and their id, and in the end closed with 4005',
      [],
      async (client, { limits }) => {
        const count = Math.ceil(6 * limits.messagesPerS + 20);
        for (let id = 0; id < count; id += 1) client.sendNow({ type: 'ping', id });
        const error = await client.next('error');
        deepEqual([error.code, error.temporary, typeof error.id], ['rate-limited', true, 'number']);
        ok((error.retryAfterMs ?? 0) > 0, 'no retryAfterMs');
        equal(await client.closed(), 4005);
      },
      'error rate-limited',
      'close 4005',
    ),
  ];
}

export const bothDialectsCases = [...messageCases('plain'), ...messageCases('batched')];
