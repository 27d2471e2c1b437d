import { expect, test } from 'vitest';
import { decodeDeadLetter, encodeDeadLetter } from '../../src/stream/dead-letter.ts';

const bytes = (...fields: readonly (string | Buffer)[]): Buffer[] =>
  fields.map((field) => Buffer.from(field));

test('a dead letter round-trips fields and cause', () => {
  const fields = bytes(
    'payload',
    Buffer.from([0xff, 0x00, 0xc3]),
    'dlq_reason',
    'sent like this',
    'payload',
    '',
  );
  const entry = { id: '5-1', fields, deliveries: 3 };
  const rejected = { entry, reason: 'row_refused', detail: 'no', sqlState: '23514' };
  const written = bytes(...encodeDeadLetter(rejected, 'processor-1', '2026-11-25T12:00:00.000Z'));
  expect(decodeDeadLetter('9-0', written)).toEqual({
    id: '9-0',
    fields,
    cause: {
      dlq_reason: 'row_refused',
      dlq_detail: 'no',
      dlq_sqlstate: '23514',
      dlq_entry_id: '5-1',
      dlq_deliveries: '3',
      dlq_consumer: 'processor-1',
      dlq_at: '2026-11-25T12:00:00.000Z',
    },
  });
});

test('other entries of the dead-letter stream are not decoded', () => {
  const entry = { id: '5-1', fields: bytes('a', '1'), deliveries: 1 };
  const written = bytes(...encodeDeadLetter({ entry, reason: 'not_json', detail: 'no' }, 'c', 'then'));
  expect(decodeDeadLetter('9-0', written)).toBeDefined();
  for (const fields of [
    [],
    bytes('a', '1'),
    written.slice(3),
    written.slice(0, -2),
    [...written, ...bytes('b', '2')],
  ]) {
    expect(decodeDeadLetter('9-0', fields)).toBeUndefined();
  }
});
