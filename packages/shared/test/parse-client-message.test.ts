import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isProtocolProblem, parseClientMessage } from '../src/parse-client-message.ts';
import { maxMessageBytes } from '../src/protocol.ts';

const topic = 'event:0190c5de-7a5b-7000-8000-0123456789ab';

function parse(message: unknown) {
  return parseClientMessage(JSON.stringify(message));
}

/** A ping of so many bytes. */
function padded(bytes: number, filling: string): string {
  const start = '{"type":"ping","pad":"';
  const left = bytes - start.length - 2;
  const width = new TextEncoder().encode(filling).length;
  return `${start}${filling.repeat(Math.floor(left / width))}${'x'.repeat(left % width)}"}`;
}

describe('every message of a client is read', () => {
  test.each([
    [{ type: 'subscribe', topic }],
    [{ type: 'subscribe', topic, id: 1 }],
    [{ type: 'subscribe', topic, id: '', maxHz: 0.5, bbox: [-180, -90, 180, 90] }],
    [{ type: 'subscribe', topic, id: 'x'.repeat(64), maxHz: 20, bbox: [170, -10, -170, -10] }],
    [{ type: 'subscribe', topic, cursor: 'b3BhcXVl', epoch: 'a1' }],
    [{ type: 'update', topic }],
    [{ type: 'update', topic, id: -1.5, maxHz: 4, bbox: null }],
    [{ type: 'update', topic, bbox: [0, 0, 0, 0] }],
    [{ type: 'unsubscribe', topic, id: 0 }],
    [{ type: 'ping' }],
    [{ type: 'ping', id: 'p' }],
  ])('%j', (message) => {
    expect(parse(message)).toStrictEqual(message);
    expect(isProtocolProblem(parse(message))).toBe(false);
  });

  test('without the fields that are not known', () => {
    expect(parse({ type: 'ping', id: 1, code: 'internal', token: 'x', __proto__: 1 })).toStrictEqual({
      type: 'ping',
      id: 1,
    });
  });
});

describe('what is no message is a problem with a code, and with the id where it has one', () => {
  test.each<[what: string, message: unknown, code: string]>([
    ['null', null, 'bad-message'],
    ['a number', 1, 'bad-message'],
    ['a text', 'ping', 'bad-message'],
    ['an array', [{ type: 'ping' }], 'bad-message'],
    ['no type', {}, 'bad-message'],
    ['a type that is no text', { type: 1 }, 'bad-message'],
    ['an unknown type', { type: 'publish' }, 'unknown-type'],
    ['an empty type', { type: '' }, 'unknown-type'],
    ["a server's type", { type: 'pong' }, 'unknown-type'],
    ['a type that objects inherit', { type: 'constructor' }, 'unknown-type'],
    ['no topic', { type: 'subscribe' }, 'bad-message'],
    ['a topic that is no text', { type: 'subscribe', topic: 1 }, 'bad-message'],
    ['a topic of no kind that there is', { type: 'subscribe', topic: 'device:1' }, 'unknown-topic'],
    ['a path as event', { type: 'subscribe', topic: 'event:..%2f..%2fusers%2fme' }, 'unknown-topic'],
    ['an empty event', { type: 'unsubscribe', topic: 'event:' }, 'unknown-topic'],
    ['an event in upper case', { type: 'update', topic: topic.toUpperCase() }, 'unknown-topic'],
    ['maxHz below its range', { type: 'subscribe', topic, maxHz: 0.49 }, 'bad-message'],
    ['maxHz above its range', { type: 'update', topic, maxHz: 20.01 }, 'bad-message'],
    ['maxHz as a text', { type: 'update', topic, maxHz: '4' }, 'bad-message'],
    ['maxHz of null', { type: 'update', topic, maxHz: null }, 'bad-message'],
    ['a bbox of three', { type: 'subscribe', topic, bbox: [0, 0, 1] }, 'bad-bbox'],
    ['a bbox of five', { type: 'subscribe', topic, bbox: [0, 0, 1, 1, 1] }, 'bad-bbox'],
    ['a bbox of texts', { type: 'subscribe', topic, bbox: ['0', '0', '1', '1'] }, 'bad-bbox'],
    ['a bbox with null', { type: 'subscribe', topic, bbox: [0, 0, 1, null] }, 'bad-bbox'],
    ['a bbox as an object', { type: 'subscribe', topic, bbox: { west: 0 } }, 'bad-bbox'],
    ['a bbox of null that clears nothing', { type: 'subscribe', topic, bbox: null }, 'bad-bbox'],
    ['a bbox upside down', { type: 'update', topic, bbox: [0, 1, 1, 0.999] }, 'bad-bbox'],
    ['a bbox west of -180', { type: 'update', topic, bbox: [-180.001, 0, 1, 1] }, 'bad-bbox'],
    ['a bbox east of 180', { type: 'update', topic, bbox: [0, 0, 180.001, 1] }, 'bad-bbox'],
    ['a bbox south of the pole', { type: 'update', topic, bbox: [0, -90.001, 1, 1] }, 'bad-bbox'],
    ['a bbox north of the pole', { type: 'update', topic, bbox: [0, 0, 1, 90.001] }, 'bad-bbox'],
    ['a cursor without an epoch', { type: 'subscribe', topic, cursor: 'c' }, 'bad-message'],
    ['an epoch without a cursor', { type: 'subscribe', topic, epoch: 'e' }, 'bad-message'],
    ['a cursor that is no text', { type: 'subscribe', topic, cursor: 1, epoch: 'e' }, 'bad-message'],
    ['an epoch that is no text', { type: 'subscribe', topic, cursor: 'c', epoch: 1 }, 'bad-message'],
  ])('%s', (_, message, code) => {
    const problem = parse(message);
    expect(problem).toStrictEqual({ code, message: expect.stringMatching(/ must /) });
    expect(isProtocolProblem(problem)).toBe(true);
    const isObject = typeof message === 'object' && message !== null && !Array.isArray(message);
    expect(parse(isObject ? { ...message, id: 'q7' } : message)).toStrictEqual(
      isObject ? { ...problem, id: 'q7' } : problem,
    );
  });

  test.each([
    ['no JSON', '{"type":"ping"'],
    ['nothing', ''],
    ['a number that JSON turns into infinity as maxHz', `{"type":"update","topic":"${topic}","maxHz":1e400}`],
  ])('%s', (_, text) => {
    expect(parseClientMessage(text)).toMatchObject({ code: 'bad-message' });
  });

  test('infinity in a bbox', () => {
    const text = `{"type":"update","topic":"${topic}","bbox":[0,0,1e400,1]}`;
    expect(parseClientMessage(text)).toMatchObject({ code: 'bad-bbox' });
  });

  test.each([null, true, {}, [1], 'x'.repeat(65)])('an id that is %j, which is not echoed', (id) => {
    const problem = parse({ type: 'ping', id });
    expect(problem).toStrictEqual({ code: 'bad-message', message: expect.stringContaining('id must be') });
  });

  test('an id that is infinite', () => {
    expect(parseClientMessage('{"type":"ping","id":1e400}')).toStrictEqual({
      code: 'bad-message',
      message: expect.stringContaining('id must be'),
    });
  });

  test('the first fault is told, the topic before the bbox', () => {
    expect(parse({ type: 'subscribe', topic: 'x', bbox: 'x' })).toMatchObject({ code: 'unknown-topic' });
  });
});

test('a message of 4 KiB is read, one byte more is not', () => {
  for (const filling of ['x', 'é', '€', '🏁']) {
    expect(parseClientMessage(padded(maxMessageBytes, filling))).toEqual({ type: 'ping' });
    expect(parseClientMessage(padded(maxMessageBytes + 1, filling))).toMatchObject({ code: 'bad-message' });
  }
});

test('no text makes it throw, and every problem says what must be', () => {
  const almost = fc
    .record(
      {
        type: fc.constantFrom('subscribe', 'update', 'unsubscribe', 'ping', 'other'),
        id: fc.oneof(fc.integer(), fc.string(), fc.jsonValue()),
        topic: fc.oneof(fc.constant(topic), fc.jsonValue()),
        maxHz: fc.oneof(fc.integer({ min: 0, max: 21 }), fc.jsonValue()),
        bbox: fc.oneof(
          fc.array(fc.integer({ min: -200, max: 200 }), { minLength: 3, maxLength: 5 }),
          fc.jsonValue(),
        ),
        cursor: fc.jsonValue(),
        epoch: fc.jsonValue(),
      },
      { requiredKeys: ['type'] },
    )
    .map((message) => JSON.stringify(message));
  fc.assert(
    fc.property(fc.oneof(almost, fc.json(), fc.string({ unit: 'binary' })), (text) => {
      const parsed = parseClientMessage(text);
      expect(isProtocolProblem(parsed) ? parsed.message : 'it must be a message').toMatch(/ must /);
    }),
    { numRuns: 2000 },
  );
});
