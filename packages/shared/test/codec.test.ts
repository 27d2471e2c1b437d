import { describe, expect, test } from 'vitest';
import { decodeValues } from './decode-values.ts';
import { CodecError, decodePosition, encodePosition, maxPayloadBytes } from '../src/codec.ts';
import { maxSignificantDigits } from '../src/exact-number.ts';
import type { CodecReason } from '../src/codec.ts';
import type { Position } from '../src/position.ts';

const good = {
  device_id: '359421000012345',
  timestamp: '2026-11-24T03:51:14.216Z',
  latitude: 48.1234567,
  longitude: 11.7654321,
  altitude: 512,
  angle: 271,
  speed: 87.5,
  satellites: 12,
  priority: 0,
  attributes: { 21: 4, 239: 1 },
};

/** The payload with one member's value given as JSON, because JSON.stringify writes neither 1e400 nor -0. */
function payloadWith(member: string, json: string): string {
  const others = JSON.stringify({ ...good, [member]: undefined });
  return `${others.slice(0, -1)},${JSON.stringify(member)}:${json}}`;
}

function decode(payload: Uint8Array | string): Position {
  const position = decodeValues(payload);
  if (position instanceof CodecError) throw new TypeError(`${position.reason}: ${position.detail}`);
  return position;
}

function reasonFor(payload: Uint8Array | string): CodecReason | undefined {
  const position = decodePosition(payload);
  return position instanceof CodecError ? position.reason : undefined;
}

/** JSON values of every type except the field's own. */
function wrongTypesFor(field: string): readonly string[] {
  const isString = field === 'device_id' || field === 'timestamp';
  const isObject = field === 'attributes';
  return [
    'null',
    'true',
    '[]',
    '[1]',
    ...(isObject ? [] : ['{}', '{"__bigint":"1"}']),
    ...(isString ? [] : ['"1"', '""']),
    ...(isString || isObject ? ['1'] : []),
  ];
}

/** A valid payload of the given size, nearly all of it in one attribute. */
function payloadOf(bytes: number, filling: string): string {
  const left = bytes - payloadWith('attributes', '{"1":""}').length;
  const width = new TextEncoder().encode(filling).length;
  const value = filling.repeat(Math.floor(left / width)) + 'x'.repeat(left % width);
  return payloadWith('attributes', `{"1":"${value}"}`);
}

test('a payload is decoded from bytes and from a string', () => {
  const position: Position = {
    deviceId: '359421000012345',
    fixAtMs: Date.UTC(2026, 10, 24, 3, 51, 14, 216),
    latitude: 48.1234567,
    longitude: 11.7654321,
    altitudeM: 512,
    courseDeg: 271,
    speedKmh: 87.5,
    satellites: 12,
    priority: 0,
    attributes: { 21: 4, 239: 1 },
  };
  const payload = JSON.stringify(good);
  expect(decodeValues(payload)).toStrictEqual(position);
  expect(decodeValues(new TextEncoder().encode(payload))).toStrictEqual(position);
  expect(decodeValues(Buffer.from(` ${payload}\n`))).toStrictEqual(position);
});

describe('attributes stay JSON', () => {
  const { attributes: _values, ...fields } = decode(JSON.stringify(good));
  const sentinels =
    '"78":{"__bigint":"-18446744073709551615"},"385":{"__buffer_b64":"AQI="},"386":{"__buffer_b64":""}';

  test.each([
    ['none', '{}'],
    ['sentinels', `{${sentinels}}`],
    [
      'every kind of value',
      '{"1":true,"2":false,"3":0,"4":-71,"5":0.000001,"6":-12.5,"7":"","8":"SIM [1]~"}',
    ],
    ['the longest numbers', '{"1":999999999999999,"2":-999999999.999999}'],
    ['keys in no order', '{"239":1,"1":2}'],
  ])('passed through if in the form that encode writes: %s', (_what, attributes) => {
    const decoded = decodePosition(payloadWith('attributes', attributes));
    expect(decoded).toStrictEqual({ ...fields, attributesJson: attributes });
  });

  test.each([
    ['blanks', '{ "1": 2 }', '{"1":2}'],
    ['-0', '{"1":-0}', '{"1":0}'],
    ['a zero at the end', '{"1":1.50}', '{"1":1.5}'],
    ['an exponent', '{"1":1e2}', '{"1":100}'],
    ['the exponent of a double', '{"1":1e23,"2":1.5E-7}', '{"1":1e+23,"2":1.5e-7}'],
    ['as many digits as a double has', '{"1":0.30000000000000004}', '{"1":0.30000000000000004}'],
    ['keys in no order', '{"2":12345678901234567890,"1":1}', '{"1":1,"2":1234567890123456789e1}'],
    ['an escape', '{"1":"\\u0041"}', '{"1":"A"}'],
  ])('encoded again in any other form: %s', (_what, attributes, attributesJson) => {
    expect(decodePosition(payloadWith('attributes', attributes))).toStrictEqual({
      ...fields,
      attributesJson,
    });
  });

  test('wherever the attributes are in the payload', () => {
    const { attributes: given, ...others } = good;
    const decoded = decodePosition(JSON.stringify({ attributes: given, ...others }));
    expect(decoded).toStrictEqual({ ...fields, attributesJson: JSON.stringify(given) });
  });

  test.each([
    ['in an unknown field', '"more":{"attributes":{}}}', 'missing_field'],
    ['at the end of another name', '"\\"attributes":{}}', 'missing_field'],
    ['after attributes that are null', '"attributes" : null,"\\"attributes":{}}', 'wrong_type'],
    ['after invalid attributes', '"attributes" : {"1":[]},"x":{"attributes":{}}}', 'wrong_type'],
    ['in a list', '"attributes":[{"attributes":{}}', 'not_json'],
    ['with a missing brace', '"x":{"attributes":{}}', 'not_json'],
    [
      'too many attributes',
      `"attributes":{${Array.from({ length: 256 }, (_, id) => `"${id}":1`).join(',')}}}`,
      'too_many_attributes',
    ],
  ])('nothing else is mistaken for attributes: %s', (_what, end, reason) => {
    const others = JSON.stringify({ ...good, attributes: undefined });
    expect(reasonFor(`${others.slice(0, -1)},${end}`)).toBe(reason);
  });
});

test('a position is encoded with the field names of the payload', () => {
  expect(JSON.parse(encodePosition(decode(JSON.stringify(good))))).toStrictEqual(good);
});

test('unknown fields are ignored', () => {
  expect(decode(JSON.stringify({ ...good, hdop: { deep: [1] }, constructor: 1 }))).toStrictEqual(
    decode(JSON.stringify(good)),
  );
  expect(decode(payloadWith('__proto__', '{"latitude":"x"}'))).toStrictEqual(decode(JSON.stringify(good)));
});

describe('a payload that is not a JSON object is rejected', () => {
  test.each<[what: string, payload: string, reason: CodecReason]>([
    ['an empty string', '', 'not_json'],
    ['a blank', ' ', 'not_json'],
    ['an open brace', '{', 'not_json'],
    ['a truncated payload', JSON.stringify(good).slice(0, -1), 'not_json'],
    ['trailing characters', `${JSON.stringify(good)}x`, 'not_json'],
    ['a byte order mark', `\u{FEFF}${JSON.stringify(good)}`, 'not_json'],
    ['NaN', '{"latitude":NaN}', 'not_json'],
    ['single quotes', "{'latitude':1}", 'not_json'],
    ['a raw NUL', '"a \u0000"', 'not_json'],
    ['64 KiB of open brackets', '['.repeat(65_536), 'not_json'],
    ['brackets 32,768 deep', `${'['.repeat(32_768)}${']'.repeat(32_768)}`, 'wrong_type'],
    ['null', 'null', 'wrong_type'],
    ['true', 'true', 'wrong_type'],
    ['a number', '0', 'wrong_type'],
    ['a string', '"string"', 'wrong_type'],
    ['an array', '[]', 'wrong_type'],
    ['an array of a payload', `[${JSON.stringify(good)}]`, 'wrong_type'],
    ['an empty object', '{}', 'missing_field'],
  ])('%s, as a string and as bytes', (_, payload, reason) => {
    expect(reasonFor(payload)).toBe(reason);
    expect(reasonFor(new TextEncoder().encode(payload))).toBe(reason);
  });

  test.each([
    ['a lone continuation byte', [0x80]],
    ['a truncated sequence', [0xe2, 0x82]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate in three bytes', [0xed, 0xa0, 0x80]],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['Latin-1', [0xe9]],
  ])('%s is not_utf8', (_, bytes) => {
    const payload = Buffer.from(payloadWith('attributes', '{"1":"?"}'));
    const at = payload.indexOf('?');
    expect(
      reasonFor(Buffer.concat([payload.subarray(0, at), Buffer.from(bytes), payload.subarray(at + 1)])),
    ).toBe('not_utf8');
  });
});

describe('a number of an attribute keeps every digit, in one form', () => {
  test.each([
    ['12345678901234567890', '1234567890123456789e1'],
    ['-12345678901234567890.0', '-1234567890123456789e1'],
    ['1.234567890123456789E+19', '1234567890123456789e1'],
    ['9007199254740993', '9007199254740993'],
    ['90071992547409930e-1', '9007199254740993'],
    ['0.1234567890123456789', '1234567890123456789e-19'],
    ['0.1e1', '1'],
    ['4.9406564584124654e-324', '49406564584124654e-340'],
    [`1.${'0'.repeat(400)}`, '1'],
    [`1${'0'.repeat(300)}e-300`, '1'],
    ['-0.0000000000000000', '0'],
    ['0e-99999999999999999999', '0'],
    ['9'.repeat(maxSignificantDigits), '9'.repeat(maxSignificantDigits)],
  ])('%s is stored as %s', (number, stored) => {
    expect(decodePosition(payloadWith('attributes', `{"1":${number},"2":"é"}`))).toMatchObject({
      attributesJson: `{"1":${stored},"2":"é"}`,
    });
  });

  test.each<[number: string, reason: CodecReason, rule: string]>([
    ['1e400', 'not_finite', 'attribute 1 must be finite'],
    ['-1e400', 'not_finite', 'attribute 1 must be finite'],
    ['1e-400', 'out_of_range', 'attribute 1 must be 0 or at least 5e-324'],
    ['-2e-324', 'out_of_range', 'attribute 1 must be 0 or at least 5e-324'],
    ['1e-99999999999999999999', 'out_of_range', 'attribute 1 must be 0 or at least 5e-324'],
    [
      '9'.repeat(maxSignificantDigits + 1),
      'out_of_range',
      `attribute 1 must have at most ${maxSignificantDigits} significant digits`,
    ],
  ])('%s is rejected', (number, reason, detail) => {
    expect(decodePosition(payloadWith('attributes', `{"1":${number}}`))).toEqual({ reason, detail });
  });
});

describe('a key that is present twice is rejected', () => {
  test.each([
    ['latitude', payloadWith('latitude', '1,"latitude":2')],
    ['latitude', payloadWith('latitude', '1,"l\\u0061titude":1')],
    ['timestamp', `{"timestamp":"2026-11-24T03:51:14.216Z",${JSON.stringify(good).slice(1)}`],
    ['attributes', `{"attributes" : {} ,${JSON.stringify(good).slice(1)}`],
    ['attributes', payloadWith('attributes', '{},"attributes":{}')],
    ['speed', payloadWith('unknown', '{"speed":[{"a":"]}"}]},"speed":0')],
    ['attribute 1', payloadWith('attributes', '{"1":1,"2":2,"1":1}')],
    ['attribute 1', payloadWith('attributes', '{"1":"a","1":"b"}')],
    ['attribute 1', payloadWith('attributes', '{"1":{"__bigint":"1"},"1":{"__buffer_b64":""}}')],
    ['attribute 1', payloadWith('attributes', '{"1":"é","\\u0031":1}')],
    ['an attribute', payloadWith('attributes', '{"":1,"":1}')],
  ])('%s in %s', (name, payload) => {
    expect(decodePosition(payload)).toEqual({
      reason: 'duplicate_key',
      detail: `${name} must be present once`,
    });
    expect(reasonFor(new TextEncoder().encode(payload))).toBe('duplicate_key');
  });

  test.each(['{"__bigint":"1","__bigint":"1"}', '{"__buffer_b64":"","__buffer_b6\\u0034":"AQID"}'])(
    'in the sentinel %s',
    (sentinel) => {
      expect(decodePosition(payloadWith('attributes', `{"78":${sentinel}}`))).toEqual({
        reason: 'duplicate_key',
        detail: 'attribute 78 must be a sentinel with one key',
      });
    },
  );

  test('but not in an unknown field, nor where keys only look alike', () => {
    const position = decode(JSON.stringify(good));
    expect(decode(payloadWith('more', '{"latitude":1,"latitude":2},"more":":"'))).toStrictEqual(position);
    expect(decode(payloadWith('more', '[{"latitude":1}],"Latitude":2'))).toStrictEqual(position);
    const attributes = '{"10":"1","1":"10","01":"\\"1\\":","":":"}';
    expect(decode(payloadWith('attributes', attributes)).attributes).toStrictEqual(JSON.parse(attributes));
    expect(decode(payloadWith('attributes', '{"2":":","1":{"__bigint":"1"}}')).attributes).toStrictEqual({
      1: 1n,
      2: ':',
    });
  });
});

describe('every field is required and has one type', () => {
  const fields = Object.keys(good);

  test.each(fields)('%s is missing', (field) => {
    expect(reasonFor(JSON.stringify({ ...good, [field]: undefined }))).toBe('missing_field');
  });

  test.each(fields.flatMap((field) => wrongTypesFor(field).map((json): [string, string] => [field, json])))(
    '%s as %s has the wrong type',
    (field, json) => {
      expect(reasonFor(payloadWith(field, json))).toBe('wrong_type');
    },
  );
});

describe('the bounds of each field', () => {
  test.each<[field: string, json: string, reason: CodecReason | undefined]>([
    ['latitude', '90', undefined],
    ['latitude', '-90', undefined],
    ['latitude', '90.00000000000001', 'out_of_range'],
    ['latitude', '-90.00000000000001', 'out_of_range'],
    ['latitude', '1e400', 'not_finite'],
    ['longitude', '180', undefined],
    ['longitude', '-180', undefined],
    ['longitude', '180.00000000000003', 'out_of_range'],
    ['longitude', '-180.00000000000003', 'out_of_range'],
    ['longitude', '-1e400', 'not_finite'],
    ['altitude', '1e6', undefined],
    ['altitude', '-1e6', undefined],
    ['altitude', '1000000.0000000001', 'out_of_range'],
    ['altitude', '-1000000.0000000001', 'out_of_range'],
    ['altitude', '1e308', 'out_of_range'],
    ['altitude', '1e309', 'not_finite'],
    ['angle', '0', undefined],
    ['angle', '360', undefined],
    ['angle', '-0.000001', 'out_of_range'],
    ['angle', '360.00000000000006', 'out_of_range'],
    ['angle', '1e400', 'not_finite'],
    ['speed', '1e6', undefined],
    ['speed', '-1e6', undefined],
    ['speed', '1000000.0000000001', 'out_of_range'],
    ['speed', '-1e400', 'not_finite'],
    ['satellites', '0', undefined],
    ['satellites', '255', undefined],
    ['satellites', '12.0', undefined],
    ['satellites', '-1', 'out_of_range'],
    ['satellites', '256', 'out_of_range'],
    ['satellites', '1.5', 'out_of_range'],
    ['satellites', '1e400', 'not_finite'],
    ['priority', '0', undefined],
    ['priority', '1', undefined],
    ['priority', '2', undefined],
    ['priority', '-1', 'out_of_range'],
    ['priority', '3', 'out_of_range'],
    ['priority', '0.5', 'out_of_range'],
    ['priority', '1e400', 'not_finite'],
    ['device_id', '"0"', undefined],
    ['device_id', '"azAZ09_-"', undefined],
    ['device_id', `"${'9'.repeat(32)}"`, undefined],
    ['device_id', `"${'9'.repeat(33)}"`, 'bad_device_id'],
    ['device_id', '""', 'bad_device_id'],
    ['device_id', '" 1"', 'bad_device_id'],
    ['device_id', '"1\\n"', 'bad_device_id'],
    ['device_id', '"1\\u0000"', 'bad_device_id'],
    ['device_id', '"a/b"', 'bad_device_id'],
    ['device_id', '"a:b"', 'bad_device_id'],
    ['device_id', '"\u0661\u0662"', 'bad_device_id'],
    ['timestamp', '"1970-01-01T00:00:00.000Z"', undefined],
    ['timestamp', '"1969-12-31T23:59:59.999Z"', 'bad_timestamp'],
    ['timestamp', '"1970-01-01T00:59:59.999+01:00"', 'bad_timestamp'],
    ['timestamp', '"1969-12-31T23:00:00-01:00"', undefined],
    ['timestamp', '"9999-12-31T23:59:59.999999Z"', undefined],
    ['timestamp', '"9999-12-31T23:59:59-00:01"', 'bad_timestamp'],
    ['timestamp', '"2016-12-31T23:59:60Z"', 'bad_timestamp'],
    ['timestamp', '"0000-01-01T00:00:00Z"', 'bad_timestamp'],
    ['timestamp', '"2026-02-30T00:00:00Z"', 'bad_timestamp'],
    ['timestamp', '"1"', 'bad_timestamp'],
    ['timestamp', '""', 'bad_timestamp'],
  ])('%s %s: %s', (field, json, reason) => {
    expect(reasonFor(payloadWith(field, json))).toBe(reason);
  });
});

describe('numbers are normalised to the form that the table returns', () => {
  test.each(['latitude', 'longitude', 'altitude', 'angle', 'speed', 'satellites', 'priority'])(
    '-0 as %s is 0',
    (field) => {
      expect(decode(payloadWith(field, '-0'))).toStrictEqual(decode(payloadWith(field, '0')));
    },
  );

  test.each([
    ['altitude', 'altitudeM'],
    ['angle', 'courseDeg'],
    ['speed', 'speedKmh'],
  ] as const)('%s below 10^-6 becomes 0', (field, name) => {
    expect(decode(payloadWith(field, '9.99e-7'))[name]).toBe(0);
    expect(decode(payloadWith(field, '5e-324'))[name]).toBe(0);
    expect(decode(payloadWith(field, '1e-6'))[name]).toBe(1e-6);
  });

  test.each([
    ['altitude', 'altitudeM'],
    ['speed', 'speedKmh'],
  ] as const)('%s above -10^-6 becomes 0', (field, name) => {
    expect(decode(payloadWith(field, '-9.99e-7'))[name]).toBe(0);
    expect(decode(payloadWith(field, '-1e-6'))[name]).toBe(-1e-6);
  });

  test('a small coordinate is kept', () => {
    expect(decode(payloadWith('latitude', '1e-300')).latitude).toBe(1e-300);
  });
});

describe('a payload of 64 KiB is decoded, one byte more is rejected', () => {
  test.each([
    ['x', 1],
    ['é', 2],
    ['€', 3],
    ['🏁', 4],
  ])('filled with %s, which has %d bytes', (filling) => {
    const encoder = new TextEncoder();
    const atBound = payloadOf(maxPayloadBytes, filling);
    const above = payloadOf(maxPayloadBytes + 1, filling);
    expect(encoder.encode(atBound)).toHaveLength(maxPayloadBytes);
    expect([reasonFor(atBound), reasonFor(encoder.encode(atBound))]).toEqual([undefined, undefined]);
    expect([reasonFor(above), reasonFor(encoder.encode(above))]).toEqual(['too_large', 'too_large']);
  });

  test('the size is checked before the content', () => {
    expect(reasonFor(new Uint8Array(maxPayloadBytes).fill(0xff))).toBe('not_utf8');
    expect(reasonFor(new Uint8Array(maxPayloadBytes + 1).fill(0xff))).toBe('too_large');
    expect(reasonFor('\u{D800}'.repeat(maxPayloadBytes))).toBe('too_large');
  });
});

describe('a NUL or a lone surrogate in an attribute is rejected', () => {
  test.each(['\\u0000', '\\ud800', 'a\\udc00'])('as the escape %s, in a string and in bytes', (escape) => {
    for (const json of [`{"1":"${escape}"}`, `{"${escape}":1}`]) {
      const payload = payloadWith('attributes', json);
      expect([reasonFor(payload), reasonFor(Buffer.from(payload))]).toEqual(['bad_text', 'bad_text']);
    }
  });

  test('unescaped, which is possible in a string but not in UTF-8', () => {
    expect(reasonFor(payloadWith('attributes', '{"1":"\ud800"}'))).toBe('bad_text');
    expect(reasonFor(payloadWith('attributes', '{"\udc00":1}'))).toBe('bad_text');
  });

  test('a surrogate pair is accepted, escaped or not', () => {
    const escaped = decode(payloadWith('attributes', '{"1":"\\ud83c\\udfc1"}'));
    expect(escaped.attributes).toEqual({ 1: '🏁' });
    expect(decode(payloadWith('attributes', '{"1":"🏁"}'))).toStrictEqual(escaped);
  });
});

test('an error names the field and the rule, never the value', () => {
  const secret = '13.3771337';
  const payloads = [
    payloadWith('latitude', `1${secret}`),
    payloadWith('latitude', `"${secret}"`),
    payloadWith('device_id', `"${secret}"`),
    payloadWith('timestamp', `"${secret}"`),
    payloadWith('priority', secret),
    payloadWith('attributes', `{"${secret}":null}`),
    payloadWith('attributes', `{"1":{"__bigint":"${secret}"}}`),
    payloadWith('attributes', `{"1":["${secret}"]}`),
    `{"${secret}`,
  ];
  for (const payload of payloads) {
    const error = decodePosition(payload);
    expect(error).toBeInstanceOf(CodecError);
    expect(JSON.stringify(error)).not.toContain(secret.slice(3));
  }
  expect(decodePosition(payloadWith('latitude', '91'))).toEqual({
    reason: 'out_of_range',
    detail: 'latitude must be within -90..90',
  });
});

test('a position without a valid time cannot be encoded', () => {
  expect(() => encodePosition({ ...decode(JSON.stringify(good)), fixAtMs: Number.NaN })).toThrow(RangeError);
});
