import { describe, expect, test } from 'vitest';
import { decodeAttributes, encodeAttributes, maxAttributes } from '../src/attributes.ts';
import { CodecError, type CodecReason } from '../src/codec-error.ts';

function decode(json: string) {
  return decodeAttributes(JSON.parse(json));
}

function reasonFor(json: string): CodecReason | undefined {
  const attributes = decode(json);
  return attributes instanceof CodecError ? attributes.reason : undefined;
}

function numbered(count: number): string {
  return JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, io) => [io, 1])));
}

test('bigint and bytes are encoded as sentinels, other values as they are', () => {
  const attributes = {
    21: 4,
    78: 18_446_744_073_709_551_615n,
    239: true,
    256: 'WDB9634031L123456',
    385: new Uint8Array([1, 2, 3]),
  };
  const json = encodeAttributes(attributes);
  expect(JSON.parse(json)).toStrictEqual({
    21: 4,
    78: { __bigint: '18446744073709551615' },
    239: true,
    256: 'WDB9634031L123456',
    385: { __buffer_b64: 'AQID' },
  });
  expect(decode(json)).toStrictEqual(attributes);
});

test('a Node Buffer is encoded as bytes, not by its toJSON', () => {
  expect(encodeAttributes({ 385: Buffer.from([1, 2, 3]) })).toBe('{"385":{"__buffer_b64":"AQID"}}');
});

test('decoding does not change its input', () => {
  const json = { 21: 4, 78: { __bigint: '7' } };
  expect(decodeAttributes(json)).toStrictEqual({ 21: 4, 78: 7n });
  expect(json).toStrictEqual({ 21: 4, 78: { __bigint: '7' } });
});

test('strings and keys that look like sentinels are strings and keys', () => {
  const attributes = { __bigint: '1', __buffer_b64: 'AQID', 1: '{"__bigint":"1"}' };
  expect(decode(encodeAttributes(attributes))).toStrictEqual(attributes);
});

test('an attribute named toJSON is encoded like any other', () => {
  expect(encodeAttributes({ toJSON: 1 })).toBe('{"toJSON":1}');
});

test('-0 is 0', () => {
  expect(decode('{"1":-0}')).toStrictEqual({ 1: 0 });
});

test('values that cannot be decoded are not encoded', () => {
  expect(() => encodeAttributes({ 1: Number.NaN })).toThrow(TypeError);
  expect(() => encodeAttributes({ 1: Number.POSITIVE_INFINITY })).toThrow('attribute 1 must be finite');
  expect(() => encodeAttributes({ 1: 10n ** 20n })).toThrow(RangeError);
});

describe('bigint sentinels', () => {
  test.each([
    ['0', 0n],
    ['-1', -1n],
    ['18446744073709551615', 18_446_744_073_709_551_615n],
    ['99999999999999999999', 10n ** 20n - 1n],
    ['-99999999999999999999', 1n - 10n ** 20n],
  ])('%s is decoded', (digits, value) => {
    expect(decode(JSON.stringify({ 78: { __bigint: digits } }))).toStrictEqual({ 78: value });
  });

  test.each([
    '""',
    '"-"',
    '"100000000000000000000"',
    '"-100000000000000000000"',
    '"01"',
    '"-0"',
    '"+1"',
    '" 1"',
    '"1\\n"',
    '"1n"',
    '"1.0"',
    '"1e3"',
    '"0x10"',
    '"\u0661"',
    '1',
    'null',
    '{"__bigint":"1"}',
  ])('%s is invalid', (json) => {
    expect(reasonFor(`{"78":{"__bigint":${json}}}`)).toBe('bad_sentinel');
  });
});

describe('bytes sentinels', () => {
  test.each([
    ['', []],
    ['AA==', [0]],
    ['AQI=', [1, 2]],
    ['+/+/', [0xfb, 0xff, 0xbf]],
  ])('"%s" is decoded', (base64, bytes) => {
    expect(decode(JSON.stringify({ 385: { __buffer_b64: base64 } }))).toStrictEqual({
      385: new Uint8Array(bytes),
    });
  });

  test.each(['"AQI"', '"AQ-_"', '"AQ==\\n"', '"AR=="', '"="', '"\u00c4QID"', '7', 'null', '[1,2]'])(
    '%s is invalid',
    (json) => {
      expect(reasonFor(`{"385":{"__buffer_b64":${json}}}`)).toBe('bad_sentinel');
    },
  );
});

describe('anything else has the wrong type', () => {
  test.each([
    'null',
    '[]',
    '[1]',
    '[{"__bigint":"1"}]',
    '{}',
    '{"a":1}',
    '{"__bigint":"1","a":1}',
    '{"__bigint":"1","__buffer_b64":"AQID"}',
    '{"__proto__":"1"}',
    '{"__BIGINT":"1"}',
    '{"type":"Buffer","data":[1]}',
  ])('%s', (json) => {
    expect(reasonFor(`{"1":${json}}`)).toBe('wrong_type');
  });

  test.each([null, [], '{}', 0, true, 7n, () => ({})])('attributes that are %s', (json) => {
    expect(decodeAttributes(json)).toMatchObject({ reason: 'wrong_type' });
  });

  test('missing attributes', () => {
    expect(decodeAttributes(undefined)).toMatchObject({ reason: 'missing_field' });
  });
});

test.each(['1e400', '-1e400'])('%s is not finite', (json) => {
  expect(reasonFor(`{"1":${json}}`)).toBe('not_finite');
});

test.each(['__proto__', 'constructor', 'prototype'])('the key %s is rejected with any value', (key) => {
  for (const json of ['1', '"a"', 'null', '{"__bigint":"1"}']) {
    expect(reasonFor(`{"1":1,${JSON.stringify(key)}:${json}}`)).toBe('bad_key');
  }
});

test('an object that is not JSON is rejected, not thrown for', () => {
  expect(decodeAttributes(Map.prototype)).toMatchObject({ reason: 'bad_key' });
});

test(`${maxAttributes} attributes are accepted, one more is rejected`, () => {
  expect(reasonFor(numbered(255))).toBeUndefined();
  expect(reasonFor(numbered(256))).toBe('too_many_attributes');
});

describe('a NUL or a lone surrogate', () => {
  const bad = ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud83ca'];

  test.each(bad)('"%s" is rejected in a value', (escaped) => {
    expect(reasonFor(`{"1":"${escaped}"}`)).toBe('bad_text');
  });

  test.each(bad)('"%s" is rejected in a key', (escaped) => {
    expect(reasonFor(`{"${escaped}":1}`)).toBe('bad_text');
  });

  test.each(['\\ud83c\\udfc1', '\\u0001', '\\uffff', '\u{1F3C1}', '\\\\u0000'])(
    '"%s" is accepted',
    (escaped) => {
      expect(reasonFor(`{"1":"${escaped}","${escaped}":1}`)).toBeUndefined();
    },
  );
});
