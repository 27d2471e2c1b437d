import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryPosition } from './arbitrary-position.ts';
import { CodecError, encodePosition, type CodecReason } from '../src/codec.ts';
import {
  compareEntryIds,
  decodeFields,
  encodeFields,
  entryArrivedAtMs,
  receiveFields,
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

function decodeTexts(...fields: readonly string[]): TelemetryRecord | CodecError {
  return decodeFields(fields.map((text) => Buffer.from(text)));
}

function refusal(...fields: readonly string[]): CodecReason | undefined {
  const decoded = decodeTexts(...fields);
  return decoded instanceof CodecError ? decoded.reason : undefined;
}

test('a record is written with the four fields of the contract', () => {
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

test('a record that is only received is the same, its attributes as JSON text', () => {
  const { attributes: _, ...fix } = record.position;
  expect(receiveFields(encodeFields(record).map((text) => Buffer.from(text)))).toStrictEqual({
    position: { ...fix, attributesJson: '{"78":{"__bigint":"7"},"239":1}' },
    codec: '8E',
  });
  expect(receiveFields([])).toMatchObject({ reason: 'missing_field' });
});

test('any record survives encode → decode', () => {
  const records = fc.record(
    { position: arbitraryPosition, codec: fc.constantFrom('8', '8E', '16') },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(records, (sent) => {
      expect(decodeTexts(...encodeFields(sent))).toStrictEqual(sent);
    }),
  );
});

describe('which fields count', () => {
  test('payload and codec are enough, in any order', () => {
    expect(decodeTexts('payload', payload, 'codec', '8E')).toStrictEqual(record);
    expect(decodeTexts('codec', '8E', 'payload', payload)).toStrictEqual(record);
  });

  test('the payload is the truth where ts and device_id say something else', () => {
    expect(decodeTexts('ts', 'yesterday', 'device_id', '0', 'codec', '8E', 'payload', payload)).toStrictEqual(
      record,
    );
  });

  test('fields that are not known are ignored, twice and in bytes that are no text too', () => {
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
    expect(decodeTexts(...fields)).toStrictEqual(record);
    expect(
      decodeFields([
        Buffer.from([0xff]),
        Buffer.from([0xfe]),
        ...encodeFields(record).map((text) => Buffer.from(text)),
      ]),
    ).toStrictEqual(record);
  });

  test('a value that reads like a field name is a value', () => {
    expect(
      decodeTexts('ts', 'payload', 'device_id', 'codec', 'codec', '8E', 'payload', payload),
    ).toStrictEqual(record);
  });

  test.each<[what: string, fields: readonly string[], reason: CodecReason]>([
    ['no field at all', [], 'missing_field'],
    ['no payload', ['codec', '8E'], 'missing_field'],
    ['no codec', ['payload', payload], 'missing_field'],
    ['a payload without its value', ['codec', '8E', 'payload'], 'missing_field'],
    ['a codec without its value', ['payload', payload, 'codec'], 'missing_field'],
    ['names in upper case', ['PAYLOAD', payload, 'codec', '8E'], 'missing_field'],
    ['two payloads', ['payload', payload, 'codec', '8E', 'payload', payload], 'duplicate_field'],
    ['two codecs', ['codec', '8E', 'codec', '8', 'payload', payload], 'duplicate_field'],
    ['an empty payload', ['codec', '8E', 'payload', ''], 'not_json'],
    ['a payload that is refused', ['codec', '8E', 'payload', '{}'], 'missing_field'],
    ...['', '7', '8e', '8E ', ' 8', '08', '8F', '88', '1', '161', '8E\0'].map(
      (codec): [string, readonly string[], CodecReason] => [
        `the codec ${JSON.stringify(codec)}`,
        ['codec', codec, 'payload', payload],
        'bad_codec',
      ],
    ),
  ])('%s is refused', (_, fields, reason) => {
    expect(refusal(...fields)).toBe(reason);
  });

  test.each(['8', '8E', '16'] as const)('the codec %s is known', (codec) => {
    expect(decodeTexts('codec', codec, 'payload', payload)).toStrictEqual({ ...record, codec });
  });
});

test('an entry arrived at the time in its id', () => {
  expect(entryArrivedAtMs('1732412345678-0')).toBe(1_732_412_345_678);
  expect(entryArrivedAtMs('1732412345678-18446744073709551615')).toBe(1_732_412_345_678);
  expect(entryArrivedAtMs('0-1')).toBe(0);
  expect(entryArrivedAtMs('1732412345678')).toBe(1_732_412_345_678);
});

test('entry ids are ordered as Redis orders them: by two unsigned 64-bit numbers', () => {
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
