import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainPosition } from './arbitrary-position.ts';
import { decodePosition, encodePosition } from '../src/codec.ts';
import { readPlainPosition } from '../src/plain-position.ts';

const payload =
  '{"device_id":"359421000012345","timestamp":"2026-11-24T03:51:14.216Z","latitude":48.1234567,' +
  '"longitude":-11.7654321,"altitude":512,"angle":271,"speed":87.5,"satellites":12,"priority":0,' +
  '"attributes":{"21":4,"239":true}}';

function withMember(name: string, json: string): string {
  const changed = payload.replace(new RegExp(`"${name}":("[^"]*"|[^,]*)`), () => `"${name}":${json}`);
  if (!changed.includes(json)) throw new Error(`${name} is not in the payload`);
  return changed;
}

test('what a tracker sends is read as it is', () => {
  expect(readPlainPosition(payload)).toStrictEqual({
    deviceId: '359421000012345',
    fixAtMs: Date.UTC(2026, 10, 24, 3, 51, 14, 216),
    latitude: 48.1234567,
    longitude: -11.7654321,
    altitudeM: 512,
    courseDeg: 271,
    speedKmh: 87.5,
    satellites: 12,
    priority: 0,
    attributesJson: '{"21":4,"239":true}',
  });
});

test('any position of numbers that are not long is read, and as it was meant', () => {
  fc.assert(
    fc.property(plainPosition, (position) => {
      const { attributes: _values, ...fix } = position;
      expect(readPlainPosition(encodePosition(position))).toMatchObject(fix);
    }),
    { numRuns: 1000 },
  );
});

test('a number of up to 15 digits is the double that JSON makes of it', () => {
  const digits = fc.tuple(fc.nat({ max: 89 }), fc.stringMatching(/^[0-9]{1,13}$/), fc.boolean());
  fc.assert(
    fc.property(digits, ([whole, decimals, isNegative]) => {
      const text = `${isNegative ? '-' : ''}${whole}.${decimals}`;
      expect(readPlainPosition(withMember('latitude', text))?.latitude).toBe(JSON.parse(text) + 0);
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ['latitude', '-90', -90],
  ['longitude', '180', 180],
  ['longitude', '-0', 0],
  ['longitude', '-0.0', 0],
  ['latitude', '1.50', 1.5],
  ['altitude', '-1000000', -1e6],
  ['altitude', '0.0000009', 0],
  ['angle', '360', 360],
  ['speed', '1000000', 1e6],
  ['satellites', '255', 255],
  ['satellites', '12.0', 12],
  ['priority', '2', 2],
  ['device_id', `"${'_'.repeat(32)}"`, '_'.repeat(32)],
  ['timestamp', '"1970-01-01T00:00:00.000Z"', 0],
  ['timestamp', '"9999-12-31t23:59:59.999z"', 253_402_300_799_999],
])('at its bounds: %s %s', (name, json, value) => {
  const { attributesJson, ...fix } = readPlainPosition(withMember(name, json)) ?? {};
  expect(attributesJson).toBe('{"21":4,"239":true}');
  expect(Object.values(fix)).toContainEqual(value);
  expect(decodePosition(withMember(name, json))).toMatchObject(fix);
});

describe('a closer look needs', () => {
  test.each([
    ['latitude', '90.0000001'],
    ['latitude', '-91'],
    ['latitude', '01'],
    ['latitude', '-01.5'],
    ['latitude', '1.'],
    ['latitude', '.5'],
    ['latitude', '-'],
    ['latitude', '+1'],
    ['latitude', '1e1'],
    ['latitude', '1.5E1'],
    ['latitude', '1.234567890123456'],
    ['latitude', ' 1'],
    ['latitude', '1 '],
    ['latitude', 'null'],
    ['latitude', '"1"'],
    ['latitude', '1,"x":2'],
    ['longitude', '180.1'],
    ['altitude', '1000000.1'],
    ['angle', '-1'],
    ['angle', '360.5'],
    ['speed', '-1000001'],
    ['satellites', '256'],
    ['satellites', '-1'],
    ['satellites', '1.5'],
    ['priority', '3'],
    ['priority', '0.5'],
    ['priority', '-1'],
    ['device_id', '""'],
    ['device_id', `"${'1'.repeat(33)}"`],
    ['device_id', '"12 34"'],
    ['device_id', '"\\u0031"'],
    ['device_id', '12'],
    ['timestamp', '"2026-11-24T03:51:14Z"'],
    ['timestamp', '"2026-11-24T03:51:14.2160Z"'],
    ['timestamp', '"2026-11-24T03:51:14+00:00"'],
    ['timestamp', '"2026-02-30T03:51:14.216Z"'],
    ['timestamp', '"1969-12-31T23:59:59.999Z"'],
    ['timestamp', '0'],
  ])('%s %s', (name, json) => {
    expect(readPlainPosition(withMember(name, json))).toBeUndefined();
  });

  test.each([
    ['a blank before it', ` ${payload}`],
    ['a blank behind it', `${payload} `],
    ['a blank in it', payload.replace(',', ', ')],
    ['another order', payload.replace('"speed":87.5,"satellites":12', '"satellites":12,"speed":87.5')],
    ['a member too few', payload.replace('"angle":271,', '')],
    ['a member too many', payload.replace('"attributes"', '"hdop":1,"attributes"')],
    ['attributes that are none', payload.replace('true', 'null')],
    ['nothing', ''],
  ])('%s', (_what, text) => {
    expect(readPlainPosition(text)).toBeUndefined();
  });

  test('each beginning of a payload', () => {
    for (let length = 0; length < payload.length; length += 1) {
      expect(readPlainPosition(payload.slice(0, length))).toBeUndefined();
    }
  });
});

test('a device id does not keep the payload that it came with', () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const attributes = `"attributes":{"1":"${'x'.repeat(30_000)}"}}`;
  const receive = (number: number): string | undefined => {
    const id = String(number).padStart(15, '0');
    return readPlainPosition(withMember('device_id', `"${id}"`).replace(/"attributes".*$/, attributes))
      ?.deviceId;
  };
  collect();
  const before = process.memoryUsage().heapUsed;
  const ids = Array.from({ length: 1000 }, (_, number) => receive(number));
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10e6);
  expect(ids.at(-1)).toBe('000000000000999');
});
