import { describe, expect, test } from 'vitest';
import { decodeAttributes, encodeAttributes, maxAttributes } from '../src/attributes.ts';
import { CodecError, type CodecReason } from '../src/codec-error.ts';

function read(json: string) {
  return decodeAttributes(JSON.parse(json));
}

function refusal(json: string): CodecReason | undefined {
  const attributes = read(json);
  return attributes instanceof CodecError ? attributes.reason : undefined;
}

function numbered(count: number): string {
  return JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, io) => [io, 1])));
}

test('bigint and bytes are written as sentinels, everything else as it is', () => {
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
  expect(read(json)).toStrictEqual(attributes);
});

test('a Node Buffer is bytes, not what its toJSON makes of it', () => {
  expect(encodeAttributes({ 385: Buffer.from([1, 2, 3]) })).toBe('{"385":{"__buffer_b64":"AQID"}}');
});

test('attributes that need no other form are handed on as the object that came in', () => {
  const json: unknown = { 21: 4, vin: 'WDB', 239: true };
  expect(decodeAttributes(json)).toBe(json);
});

test('attributes that need another form leave the object that came in untouched', () => {
  const json = { 21: 4, 78: { __bigint: '7' } };
  expect(decodeAttributes(json)).toStrictEqual({ 21: 4, 78: 7n });
  expect(json).toStrictEqual({ 21: 4, 78: { __bigint: '7' } });
});

test('texts and keys that look like sentinels are texts and keys', () => {
  const attributes = { __bigint: '1', __buffer_b64: 'AQID', 1: '{"__bigint":"1"}' };
  expect(read(encodeAttributes(attributes))).toStrictEqual(attributes);
});

test('a toJSON among the attributes is an attribute like any other', () => {
  expect(encodeAttributes({ toJSON: 1 })).toBe('{"toJSON":1}');
});

test('-0 is 0', () => {
  expect(read('{"1":-0}')).toStrictEqual({ 1: 0 });
});

test('what no reader would take is not written', () => {
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
  ])('%s is read', (text, value) => {
    expect(read(JSON.stringify({ 78: { __bigint: text } }))).toStrictEqual({ 78: value });
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
  ])('%s is a bad one', (json) => {
    expect(refusal(`{"78":{"__bigint":${json}}}`)).toBe('bad_sentinel');
  });
});

describe('bytes sentinels', () => {
  test.each([
    ['', []],
    ['AA==', [0]],
    ['AQI=', [1, 2]],
    ['+/+/', [0xfb, 0xff, 0xbf]],
  ])('"%s" is read', (text, bytes) => {
    expect(read(JSON.stringify({ 385: { __buffer_b64: text } }))).toStrictEqual({
      385: new Uint8Array(bytes),
    });
  });

  test.each(['"AQI"', '"AQ-_"', '"AQ==\\n"', '"AR=="', '"="', '"\u00c4QID"', '7', 'null', '[1,2]'])(
    '%s is a bad one',
    (json) => {
      expect(refusal(`{"385":{"__buffer_b64":${json}}}`)).toBe('bad_sentinel');
    },
  );
});

describe('what is neither a value nor a sentinel is of a wrong type', () => {
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
    expect(refusal(`{"1":${json}}`)).toBe('wrong_type');
  });

  test.each([null, [], '{}', 0, true, 7n, () => ({})])('attributes that are %s', (json) => {
    expect(decodeAttributes(json)).toMatchObject({ reason: 'wrong_type' });
  });

  test('no attributes at all', () => {
    expect(decodeAttributes(undefined)).toMatchObject({ reason: 'missing_field' });
  });
});

test.each(['1e400', '-1e400'])('%s is not finite', (json) => {
  expect(refusal(`{"1":${json}}`)).toBe('not_finite');
});

test.each(['__proto__', 'constructor', 'prototype'])('the key %s is refused, whatever its value', (key) => {
  for (const json of ['1', '"a"', 'null', '{"__bigint":"1"}']) {
    expect(refusal(`{"1":1,${JSON.stringify(key)}:${json}}`)).toBe('bad_key');
  }
});

test('an object that is no JSON is refused like one, not thrown at', () => {
  expect(decodeAttributes(Map.prototype)).toMatchObject({ reason: 'bad_key' });
});

test(`${maxAttributes} attributes are read, one more is not`, () => {
  expect(refusal(numbered(255))).toBeUndefined();
  expect(refusal(numbered(256))).toBe('too_many_attributes');
});

describe('a NUL or a lone surrogate', () => {
  const bad = ['\\u0000', 'a\\u0000b', '\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud83ca'];

  test.each(bad)('"%s" is refused in a value', (text) => {
    expect(refusal(`{"1":"${text}"}`)).toBe('bad_text');
  });

  test.each(bad)('"%s" is refused in a key', (text) => {
    expect(refusal(`{"${text}":1}`)).toBe('bad_text');
  });

  test.each(['\\ud83c\\udfc1', '\\u0001', '\\uffff', '\u{1F3C1}', '\\\\u0000'])('"%s" is neither', (text) => {
    expect(refusal(`{"1":"${text}","${text}":1}`)).toBeUndefined();
  });
});
