import { expect, test } from 'vitest';
import {
  count,
  list,
  parseClaimReply,
  parseDeliveries,
  parseInfo,
  parseReadReply,
  text,
} from './entry-reply.ts';

const bytes = (words: string): Buffer => Buffer.from(words, 'latin1');
const foreign = Buffer.from([0xff, 0x00, 0xc3]);

test('a read that found nothing is no entries', () => {
  expect(parseReadReply(null)).toEqual({ entries: [], vanishedIds: [] });
  expect(parseReadReply([[bytes('stream'), []]])).toEqual({ entries: [], vanishedIds: [] });
});

test('a read gives ids as text, fields as the bytes that came, and the ids whose bodies are gone', () => {
  const reply = [
    [
      bytes('stream'),
      [
        [bytes('1-0'), [bytes('payload'), foreign]],
        [bytes('2-0'), null],
        [bytes('3-0'), []],
      ],
    ],
  ];
  expect(parseReadReply(reply)).toEqual({
    entries: [
      { id: '1-0', fields: [bytes('payload'), foreign], deliveries: 1 },
      { id: '3-0', fields: [], deliveries: 1 },
    ],
    vanishedIds: ['2-0'],
  });
});

test('a claim gives its cursor, and both kinds of vanished ids', () => {
  const rows = [
    [bytes('4-0'), [bytes('a'), bytes('b')]],
    [bytes('5-0'), null],
  ];
  expect(parseClaimReply([bytes('9-1'), rows, [bytes('6-0')]])).toEqual({
    cursor: '9-1',
    entries: [{ id: '4-0', fields: [bytes('a'), bytes('b')], deliveries: 1 }],
    vanishedIds: ['5-0', '6-0'],
  });
  // Redis 6 has no third part.
  expect(parseClaimReply([bytes('0-0'), []])).toEqual({ cursor: '0-0', entries: [], vanishedIds: [] });
});

test('deliveries are read by id', () => {
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

test('an info reply keeps its values as they came, null among them', () => {
  const info = parseInfo([bytes('length'), 3, bytes('first-entry'), null, bytes('odd')]);
  expect([...info]).toEqual([
    ['length', 3],
    ['first-entry', null],
  ]);
});

test('what is not what Redis documents is refused with what it was, and not with its content', () => {
  expect(() => list('secret')).toThrow('Redis answered string where a list was expected');
  expect(() => text('secret')).toThrow('Redis answered string where a text was expected');
  expect(() => count(bytes('secret'))).toThrow('Redis answered object where a number was expected');
  expect(() => text(null)).toThrow('Redis answered null');
  expect(() => parseReadReply([[bytes('stream'), [[bytes('1-0'), [bytes('a'), 1]]]]])).toThrow(
    'a list of texts',
  );
});
