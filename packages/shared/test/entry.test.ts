import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryPosition } from './arbitrary-position.ts';
import { withAttributes } from './decode-values.ts';
import { CodecError, encodePosition, type CodecReason } from '../src/codec.ts';
import {
  compareEntryIds,
  decodeFields,
  encodeFields,
  entryArrivedAtMs,
  type TelemetryRecord,
} from '../src/entry.ts';

const record: TelemetryRecord = {
  position: {
    deviceId: '359421000012345',
    fixAtMs: Date.UTC(2026, 10, 24, 3, 51, 14, 216),
    latitude: 48.1234567,
    longitude: 11.7654321,
    altitudeM: 512,
    courseDeg: 271,
    speedKmh: 87.5,
    satellites: 12,
    priority: 2,
    attributes: { 239: 1, 78: 7n },
  },
  codec: '8E',
};
const payload = encodePosition(record.position);

function decode(...fields: readonly (string | Buffer)[]): TelemetryRecord | CodecError {
  const decoded = decodeFields(fields.map((field) => Buffer.from(field)));
  if (decoded instanceof CodecError) return decoded;
  return { ...decoded, position: withAttributes(decoded.position) };
}

test('a record is encoded as four fields', () => {
  expect(encodeFields(record)).toEqual([
    'ts',
    '2026-11-24T03:51:14.216Z',
    'device_id',
    '359421000012345',
    'codec',
    '8E',
    'payload',
    payload,
  ]);
});

test('any record survives encode → decode', () => {
  const records = fc.record(
    { position: arbitraryPosition, codec: fc.constantFrom('8', '8E', '16') },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(records, (sent) => {
      expect(decode(...encodeFields(sent))).toStrictEqual(sent);
    }),
  );
});

describe('the fields of an entry', () => {
  test('payload and codec are sufficient, in any order', () => {
    expect(decode('payload', payload, 'codec', '8E')).toStrictEqual(record);
    expect(decode('codec', '8E', 'payload', payload)).toStrictEqual(record);
  });

  test('the payload wins if ts and device_id differ', () => {
    expect(decode('ts', 'yesterday', 'device_id', '0', 'codec', '8E', 'payload', payload)).toStrictEqual(
      record,
    );
  });

  test('unknown fields are ignored, also repeated and in bytes that are not UTF-8', () => {
    const fields = [
      'traceparent',
      '00-ab-cd-01',
      'dlq_reason',
      'x',
      'dlq_reason',
      'y',
      ...encodeFields(record),
      'Codec',
      '9',
    ];
    expect(decode(...fields)).toStrictEqual(record);
    expect(decode(Buffer.from([0xff]), Buffer.from([0xfe]), ...encodeFields(record))).toStrictEqual(record);
  });

  test('a value equal to a field name is a value', () => {
    expect(decode('ts', 'payload', 'device_id', 'codec', 'codec', '8E', 'payload', payload)).toStrictEqual(
      record,
    );
  });

  test.each<[what: string, fields: readonly string[], reason: CodecReason]>([
    ['no fields', [], 'missing_field'],
    ['no payload', ['codec', '8E'], 'missing_field'],
    ['no codec', ['payload', payload], 'missing_field'],
    ['a payload without a value', ['codec', '8E', 'payload'], 'missing_field'],
    ['a codec without a value', ['payload', payload, 'codec'], 'missing_field'],
    ['names in upper case', ['PAYLOAD', payload, 'codec', '8E'], 'missing_field'],
    ['two payloads', ['payload', payload, 'codec', '8E', 'payload', payload], 'duplicate_field'],
    ['two codecs', ['codec', '8E', 'codec', '8', 'payload', payload], 'duplicate_field'],
    ['an empty payload', ['codec', '8E', 'payload', ''], 'not_json'],
    ['an invalid payload', ['codec', '8E', 'payload', '{}'], 'missing_field'],
    ...['', '7', '8e', '8E ', ' 8', '08', '8F', '88', '1', '161', '8E\0'].map(
      (codec): [string, readonly string[], CodecReason] => [
        `the codec ${JSON.stringify(codec)}`,
        ['codec', codec, 'payload', payload],
        'bad_codec',
      ],
    ),
  ])('%s is rejected', (_, fields, reason) => {
    expect(decode(...fields)).toMatchObject({ reason });
  });

  test.each(['8', '8E', '16'] as const)('the codec %s is accepted', (codec) => {
    expect(decode('codec', codec, 'payload', payload)).toStrictEqual({ ...record, codec });
  });
});

test('the arrival time of an entry is in its id', () => {
  expect(entryArrivedAtMs('1732412345678-0')).toBe(1_732_412_345_678);
  expect(entryArrivedAtMs('1732412345678-18446744073709551615')).toBe(1_732_412_345_678);
  expect(entryArrivedAtMs('0-1')).toBe(0);
  expect(entryArrivedAtMs('1732412345678')).toBe(1_732_412_345_678);
});

test('entry ids are ordered as in Redis, by two unsigned 64-bit numbers', () => {
  const part = fc.oneof(fc.nat({ max: 20 }).map(BigInt), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const id = fc.tuple(part, part);
  fc.assert(
    fc.property(id, id, (a, b) => {
      const [byMs, bySequence] = [compareBigints(a[0], b[0]), compareBigints(a[1], b[1])];
      expect(Math.sign(compareEntryIds(a.join('-'), b.join('-')))).toBe(byMs === 0 ? bySequence : byMs);
    }),
    { numRuns: 1000 },
  );
  expect(compareEntryIds('5', '5-0')).toBe(0);
  expect(compareEntryIds('5-1', '5')).toBeGreaterThan(0);
});

function compareBigints(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
