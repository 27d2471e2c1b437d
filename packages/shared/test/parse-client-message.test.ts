import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseClientMessage } from '../src/parse-client-message.ts';
import { maxMessageBytes } from '../src/protocol.ts';

const topic = 'event:0190c5de-7a5b-7000-8000-0123456789ab';
const results = 'results:0190c5de-7a5b-7000-8000-0123456789ab';

function parse(message: unknown) {
  return parseClientMessage(JSON.stringify(message));
}

/** A ping of the given size. */
function padded(bytes: number, filling: string): string {
  const start = '{"type":"ping","pad":"';
  const left = bytes - start.length - 2;
  const width = new TextEncoder().encode(filling).length;
  return `${start}${filling.repeat(Math.floor(left / width))}${'x'.repeat(left % width)}"}`;
}

describe('every client message is parsed', () => {
  test.each([
    [{ type: 'subscribe', topic }],
    [{ type: 'subscribe', topic, id: 1 }],
    [{ type: 'subscribe', topic, id: '', maxHz: 0.5, bbox: [-180, -90, 180, 90] }],
    [{ type: 'subscribe', topic, id: 'x'.repeat(64), maxHz: 20, bbox: [170, -10, -170, -10] }],
    [{ type: 'subscribe', topic, cursor: 'b3BhcXVl', epoch: 'a1' }],
    [{ type: 'subscribe', topic: results, id: 1, cursor: 'b3BhcXVl' }],
    [{ type: 'unsubscribe', topic: results }],
    [{ type: 'update', topic }],
    [{ type: 'update', topic, id: -1.5, maxHz: 4, bbox: null }],
    [{ type: 'update', topic, bbox: [0, 0, 0, 0] }],
    [{ type: 'unsubscribe', topic, id: 0 }],
    [{ type: 'ping' }],
    [{ type: 'ping', id: 'p' }],
  ])('%j', (message) => {
    expect(parse(message)).toStrictEqual(message);
  });

  test('unknown fields are dropped', () => {
    expect(parse({ type: 'ping', id: 1, code: 'internal', token: 'x', __proto__: 1 })).toStrictEqual({
      type: 'ping',
      id: 1,
    });
  });
});

describe('an invalid message results in a problem with a code, and with the id if it is valid', () => {
  test.each<[what: string, message: unknown, code: string]>([
    ['null', null, 'bad-message'],
    ['a number', 1, 'bad-message'],
    ['a string', 'ping', 'bad-message'],
    ['an array', [{ type: 'ping' }], 'bad-message'],
    ['no type', {}, 'bad-message'],
    ['a type that is not a string', { type: 1 }, 'bad-message'],
    ['an unknown type', { type: 'publish' }, 'unknown-type'],
    ['an empty type', { type: '' }, 'unknown-type'],
    ['the type of a server message', { type: 'pong' }, 'unknown-type'],
    ['the name of an inherited property as type', { type: 'constructor' }, 'unknown-type'],
    ['no topic', { type: 'subscribe' }, 'bad-message'],
    ['a topic that is not a string', { type: 'subscribe', topic: 1 }, 'bad-message'],
    ['an unknown kind of topic', { type: 'subscribe', topic: 'device:1' }, 'unknown-topic'],
    ['a path as event id', { type: 'subscribe', topic: 'event:..%2f..%2fusers%2fme' }, 'unknown-topic'],
    ['an empty event id', { type: 'unsubscribe', topic: 'event:' }, 'unknown-topic'],
    ['an event id in upper case', { type: 'update', topic: topic.toUpperCase() }, 'unknown-topic'],
    ['an update of results', { type: 'update', topic: results }, 'unknown-topic'],
    ['maxHz below its range', { type: 'subscribe', topic, maxHz: 0.49 }, 'bad-message'],
    ['maxHz above its range', { type: 'update', topic, maxHz: 20.01 }, 'bad-message'],
    ['maxHz as a string', { type: 'update', topic, maxHz: '4' }, 'bad-message'],
    ['maxHz null', { type: 'update', topic, maxHz: null }, 'bad-message'],
    ['a bbox of three numbers', { type: 'subscribe', topic, bbox: [0, 0, 1] }, 'bad-bbox'],
    ['a bbox of five numbers', { type: 'subscribe', topic, bbox: [0, 0, 1, 1, 1] }, 'bad-bbox'],
    ['a bbox of strings', { type: 'subscribe', topic, bbox: ['0', '0', '1', '1'] }, 'bad-bbox'],
    ['a bbox with null', { type: 'subscribe', topic, bbox: [0, 0, 1, null] }, 'bad-bbox'],
    ['a bbox as an object', { type: 'subscribe', topic, bbox: { west: 0 } }, 'bad-bbox'],
    ['bbox null in a subscribe', { type: 'subscribe', topic, bbox: null }, 'bad-bbox'],
    ['a bbox upside down', { type: 'update', topic, bbox: [0, 1, 1, 0.999] }, 'bad-bbox'],
    ['a bbox west of -180', { type: 'update', topic, bbox: [-180.001, 0, 1, 1] }, 'bad-bbox'],
    ['a bbox east of 180', { type: 'update', topic, bbox: [0, 0, 180.001, 1] }, 'bad-bbox'],
    ['a bbox south of the pole', { type: 'update', topic, bbox: [0, -90.001, 1, 1] }, 'bad-bbox'],
    ['a bbox north of the pole', { type: 'update', topic, bbox: [0, 0, 1, 90.001] }, 'bad-bbox'],
    ['a cursor without an epoch', { type: 'subscribe', topic, cursor: 'c' }, 'bad-message'],
    ['an epoch without a cursor', { type: 'subscribe', topic, epoch: 'e' }, 'bad-message'],
    ['a cursor that is not a string', { type: 'subscribe', topic, cursor: 1, epoch: 'e' }, 'bad-message'],
    ['a reauthenticate without a ticket or a token', { type: 'reauthenticate' }, 'bad-message'],
    ['a reauthenticate with both', { type: 'reauthenticate', ticket: 't', token: 't' }, 'bad-message'],
    ['a token that is not a string', { type: 'reauthenticate', token: 1 }, 'bad-message'],
    ['a ticket that is not a string', { type: 'reauthenticate', ticket: 1 }, 'bad-message'],
    ['an epoch that is not a string', { type: 'subscribe', topic, cursor: 'c', epoch: 1 }, 'bad-message'],
  ])('%s', (_, message, code) => {
    const problem = parse(message);
    expect(problem).toStrictEqual({ code, message: expect.stringMatching(/ must /) });
    const isObject = typeof message === 'object' && message !== null && !Array.isArray(message);
    expect(parse(isObject ? { ...message, id: 'q7' } : message)).toStrictEqual(
      isObject ? { ...problem, id: 'q7' } : problem,
    );
  });

  test.each([
    ['truncated JSON', '{"type":"ping"'],
    ['an empty string', ''],
    ['infinity as maxHz', `{"type":"update","topic":"${topic}","maxHz":1e400}`],
  ])('%s', (_, frame) => {
    expect(parseClientMessage(frame)).toMatchObject({ code: 'bad-message' });
  });

  test('infinity in a bbox', () => {
    const frame = `{"type":"update","topic":"${topic}","bbox":[0,0,1e400,1]}`;
    expect(parseClientMessage(frame)).toMatchObject({ code: 'bad-bbox' });
  });

  test.each([null, true, {}, [1], 'x'.repeat(65)])('the invalid id %j, which is not echoed', (id) => {
    const problem = parse({ type: 'ping', id });
    expect(problem).toStrictEqual({ code: 'bad-message', message: expect.stringContaining('id must be') });
  });

  test('infinity as id', () => {
    expect(parseClientMessage('{"type":"ping","id":1e400}')).toStrictEqual({
      code: 'bad-message',
      message: expect.stringContaining('id must be'),
    });
  });

  test('only the first error is reported, the topic before the bbox', () => {
    expect(parse({ type: 'subscribe', topic: 'x', bbox: 'x' })).toMatchObject({ code: 'unknown-topic' });
  });
});

test('a message of 4 KiB is parsed, one byte more is rejected', () => {
  for (const filling of ['x', 'é', '€', '🏁']) {
    expect(parseClientMessage(padded(maxMessageBytes, filling))).toEqual({ type: 'ping' });
    expect(parseClientMessage(padded(maxMessageBytes + 1, filling))).toMatchObject({ code: 'bad-message' });
  }
});

test('it never throws, and every problem names the rule', () => {
  const almostValid = fc
    .record(
      {
        type: fc.constantFrom('subscribe', 'update', 'unsubscribe', 'ping', 'reauthenticate', 'other'),
        id: fc.oneof(fc.integer(), fc.string(), fc.jsonValue()),
        topic: fc.oneof(fc.constant(topic), fc.jsonValue()),
        maxHz: fc.oneof(fc.integer({ min: 0, max: 21 }), fc.jsonValue()),
        bbox: fc.oneof(
          fc.array(fc.integer({ min: -200, max: 200 }), { minLength: 3, maxLength: 5 }),
          fc.jsonValue(),
        ),
        cursor: fc.jsonValue(),
        epoch: fc.jsonValue(),
        ticket: fc.jsonValue(),
        token: fc.jsonValue(),
      },
      { requiredKeys: ['type'] },
    )
    .map((message) => JSON.stringify(message));
  fc.assert(
    fc.property(fc.oneof(almostValid, fc.json(), fc.string({ unit: 'binary' })), (frame) => {
      const parsed = parseClientMessage(frame);
      expect('code' in parsed ? parsed.message : 'it must be valid').toMatch(/ must /);
    }),
    { numRuns: 2000 },
  );
});
