import { maxPayloadBytes } from '@app/shared/codec';
import { encodeFields, type RawRecord, decodeFields, decodeRecord } from '@app/shared/entry';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  count,
  list,
  parseDeliveries,
  parseInfo,
  parseClaimReply,
  parseEntriesReply,
  text,
} from '../../src/stream/entry-reply.ts';
import { ReplyCursor } from '../../src/stream/resp-reply.ts';
import { record } from '../support/telemetry.ts';
import { type Wire, wire } from '../support/wire.ts';

const bytes = (words: string): Buffer => Buffer.from(words, 'latin1');
const foreign = Buffer.from([0xff, 0x0d, 0x0a, 0x00, 0xc3]);

function read(reply: Wire): unknown {
  return shown(parseEntriesReply(new ReplyCursor(wire(reply))));
}

/** With the fields of the entries, which are made when they are asked for. */
function shown(reply: ReturnType<typeof parseEntriesReply>): object {
  const entries = reply.entries.map(({ id, fields, deliveries }) => ({ id, fields, deliveries }));
  return { ...reply, entries };
}

test('an empty read has no entries', () => {
  const nothing = { entries: [], vanishedIds: [], bytes: 0 };
  expect(read(null)).toEqual(nothing);
  expect(read([['stream', []]])).toEqual(nothing);
});

test('a read returns ids, fields as bytes, their size, and the ids of deleted entries', () => {
  const rows = [
    ['1-0', ['payload', foreign]],
    ['2-0', null],
    ['3-0', []],
  ] as const;
  expect(read([['stream', rows]])).toEqual({
    entries: [
      { id: '1-0', fields: [bytes('payload'), foreign], deliveries: 1 },
      { id: '3-0', fields: [], deliveries: 1 },
    ],
    vanishedIds: ['2-0'],
    bytes: 12,
  });
});

test('a claim returns its cursor and both kinds of vanished ids', () => {
  const rows = [
    ['4-0', ['a', 'b']],
    ['5-0', null],
  ] as const;
  const claim = parseClaimReply(new ReplyCursor(wire(['9-1', rows, ['6-0']])));
  expect({ ...shown(claim) }).toEqual({
    cursor: '9-1',
    entries: [{ id: '4-0', fields: [bytes('a'), bytes('b')], deliveries: 1 }],
    vanishedIds: ['5-0', '6-0'],
    bytes: 2,
  });
  // Redis 6 has no third part.
  const old = parseClaimReply(new ReplyCursor(wire(['0-0', []])));
  expect(old).toEqual({ cursor: '0-0', entries: [], vanishedIds: [], bytes: 0 });
});

test('a record is read from its two fields in any position', () => {
  const fields = ['ts', '1', 'payload', '{"ü":1}', 'trace', '2', 'codec', '8E'];
  expect(recordOf(fields)).toEqual({ payload: '{"ü":1}', codec: '8E' });
  expect(recordOf(['codec', '16', 'codecs', 'x', 'payloads', 'y', 'payload', ''])).toEqual({
    payload: '',
    codec: '16',
  });
});

test.each([
  ['no UTF-8', foreign],
  ['what stands for bytes that are no UTF-8', Buffer.from('{"1":"\uFFFD"}')],
  ['more than a payload may be', Buffer.alloc(maxPayloadBytes + 1, ' ')],
])('a payload that is %s comes as its bytes', (_what, payload) => {
  expect(recordOf(['payload', payload, 'codec', '8'])).toEqual({ payload, codec: '8' });
});

test.each([
  ['none', []],
  ['no codec', ['payload', '{}', 'ts', '1']],
  ['no payload', ['codec', '8', 'Payload', '{}']],
  ['two payloads', ['payload', '{}', 'codec', '8', 'payload', '{}']],
  ['two codecs', ['codec', '8', 'payload', '{}', 'codec', '16']],
  ['a codec that is not known', ['payload', '{}', 'codec', '7']],
])('with %s there is no record: what is wrong is for the codec to say', (_what, fields) => {
  expect(recordOf(fields)).toBeUndefined();
});

test('a record equals its fields, whatever the payload', () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.tuple(fc.nat({ max: 500 }), fc.uint8Array({ maxLength: 2 })).map(([at, others]) => {
      const changed = Buffer.from(encodeFields(record({ attributes: { 21: 4, 256: 'SIM' } }))[7] ?? '');
      changed.set(others, at % (changed.length - 2));
      return changed;
    }),
  );
  fc.assert(
    fc.property(payload, fc.constantFrom('8', '8E', '16'), (some, codec) => {
      const fields = ['payload', Buffer.from(some), 'codec', codec].map((field) => Buffer.from(field));
      const found = recordOf(fields);
      expect(found && decodeRecord(found)).toEqual(decodeFields(fields));
    }),
    { numRuns: 1000 },
  );
});

function recordOf(fields: readonly (string | Buffer)[]): RawRecord | undefined {
  const [entry] = parseEntriesReply(new ReplyCursor(wire([['stream', [['1-0', fields]]]]))).entries;
  return entry?.record;
}

test('an entry with another delivery count has the same fields', () => {
  const [entry] = parseEntriesReply(new ReplyCursor(wire([['stream', [['1-0', ['a', 'b']]]]]))).entries;
  const again = entry?.deliveredTimes(4);
  expect([again?.id, again?.deliveries, again?.fields]).toEqual(['1-0', 4, [bytes('a'), bytes('b')]]);
  expect(entry?.deliveries).toBe(1);
});

test('delivery counts are returned by id', () => {
  const reply = [
    [bytes('1-0'), bytes('consumer'), 12, 1],
    [bytes('2-0'), bytes('consumer'), 12, 7],
  ];
  expect(parseDeliveries(reply)).toEqual(
    new Map([
      ['1-0', 1],
      ['2-0', 7],
    ]),
  );
});

test('an info reply keeps its values, null included', () => {
  const info = parseInfo([bytes('length'), 3, bytes('first-entry'), null, bytes('odd')]);
  expect([...info]).toEqual([
    ['length', 3],
    ['first-entry', null],
  ]);
});

test('an undocumented reply is rejected with its type and without its content', () => {
  expect(() => list('secret')).toThrow('Redis answered string where a list was expected');
  expect(() => text('secret')).toThrow('Redis answered string where a string was expected');
  expect(() => count(bytes('secret'))).toThrow('Redis answered object where a number was expected');
  expect(() => text(null)).toThrow('Redis answered null');
  expect(() => read([['stream', [['1-0', ['a', 1]]]]])).toThrow(
    'Redis answered a number where a string was expected',
  );
  expect(() => read([['stream', 'secret']])).toThrow('Redis answered a string where a list was expected');
  expect(() => read(new Error('NOGROUP no such group'))).toThrow('NOGROUP no such group');
});
