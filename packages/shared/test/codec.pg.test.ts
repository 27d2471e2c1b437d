import { startPostgres } from '@app/test-kit/postgres';
import * as fc from 'fast-check';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { arbitraryPosition } from './arbitrary-position.ts';
import { decodeValues } from './decode-values.ts';
import {
  CodecError,
  decodeAttributes,
  decodePosition,
  encodeAttributes,
  encodePosition,
} from '../src/codec.ts';
import type { Attributes, Position } from '../src/position.ts';

interface Row {
  readonly device_id: string;
  readonly ts: Date;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude: number;
  readonly angle: number;
  readonly speed: number;
  readonly satellites: number;
  readonly priority: number;
  readonly attributes: unknown;
}

type Stored = Omit<Position, 'priority' | 'attributes'> & {
  readonly priority: number;
  readonly attributes: Attributes | CodecError;
};

const resources = new AsyncDisposableStack();
let sql: postgres.Sql;

beforeAll(async () => {
  const database = resources.use(await startPostgres());
  sql = postgres(database.url, { max: 1 });
  resources.defer(() => sql.end({ timeout: 0 }));
});

afterAll(() => resources.disposeAsync());

/** Inserts a position, and deletes and returns its row. */
async function storeAndRead(position: Position, table = 'positions'): Promise<Stored> {
  const attributes = encodeAttributes(position.attributes);
  await sql`
    insert into ${sql(table)} (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec,
                           attributes)
    values (${position.deviceId}, ${new Date(position.fixAtMs)}, ${position.latitude}, ${position.longitude},
            ${position.altitudeM}, ${position.courseDeg}, ${position.speedKmh}, ${position.satellites},
            ${position.priority}, '8E', ${attributes}::text::jsonb)`;
  const [row] = await sql<Row[]>`delete from ${sql(table)} returning *`;
  if (row === undefined) throw new Error('no row');
  return {
    deviceId: row.device_id,
    fixAtMs: row.ts.getTime(),
    latitude: row.latitude,
    longitude: row.longitude,
    altitudeM: Math.fround(row.altitude),
    courseDeg: Math.fround(row.angle),
    speedKmh: Math.fround(row.speed),
    satellites: row.satellites,
    priority: row.priority,
    attributes: decodeAttributes(row.attributes),
  };
}

/** The position with the precision of `real` columns. */
function asStored(position: Position): Position {
  return {
    ...position,
    altitudeM: Math.fround(position.altitudeM),
    courseDeg: Math.fround(position.courseDeg),
    speedKmh: Math.fround(position.speedKmh),
  };
}

const good = encodePosition({
  deviceId: '359421000012345',
  fixAtMs: Date.UTC(2026, 10, 24),
  latitude: 48.1234567,
  longitude: 11.7654321,
  altitudeM: 512.5,
  courseDeg: 271,
  speedKmh: 87.5,
  satellites: 12,
  priority: 0,
  attributes: {},
});

function decodeWith(member: string, json: string): Position {
  const others = JSON.stringify({ ...JSON.parse(good), [member]: undefined });
  const position = decodeValues(`${others.slice(0, -1)},${JSON.stringify(member)}:${json}}`);
  if (position instanceof CodecError) throw new TypeError(position.detail);
  return position;
}

const controls = String.fromCharCode(...Array.from({ length: 31 }, (_, at) => at + 1), 0x7f, 0x85, 0x2028);
const nonCharacters = '\uFFFE\uFFFF\uFDD0\u{10FFFF}';

describe('the table stores and returns every bound that decode accepts', () => {
  test.each<[field: string, values: readonly string[]]>([
    [
      'latitude',
      ['-90', '90', '0', '-0', '5e-324', '-5e-324', '2.2250738585072014e-308', '89.99999999999999'],
    ],
    ['longitude', ['-180', '180', '0', '-0', '5e-324', '-5e-324', '179.99999999999997']],
    [
      'altitude',
      ['-1e6', '1e6', '999999.9999999999', '-1e-6', '1e-6', '9.999999999999999e-7', '5e-324', '-0'],
    ],
    ['angle', ['0', '360', '359.99999999999994', '1e-6', '9.999999999999999e-7', '5e-324', '-0']],
    ['speed', ['-1e6', '1e6', '-1e-6', '1e-6', '9.999999999999999e-7', '5e-324', '-0']],
    ['satellites', ['0', '255']],
    ['priority', ['0', '1', '2']],
    ['device_id', ['"0"', '"-"', '"_"', '"NULL"', '"null"', `"${'Z'.repeat(32)}"`]],
    [
      'timestamp',
      [
        '"1970-01-01T00:00:00Z"',
        '"1969-12-31T23:00:00.0009-01:00"',
        '"9999-12-31T23:59:59.9999999Z"',
        '"2024-02-29T00:00:00Z"',
      ],
    ],
    [
      'attributes',
      [
        '{}',
        '{"1":1.7976931348623157e308,"2":-1.7976931348623157e308,"3":5e-324,"4":-5e-324,"5":-0,"6":0.1}',
        '{"1":9007199254740991,"2":9007199254740993,"3":-9007199254740993,"4":1e21}',
        '{"1":{"__bigint":"99999999999999999999"},"2":{"__bigint":"-99999999999999999999"},"3":{"__bigint":"0"}}',
        '{"1":{"__buffer_b64":""},"2":{"__buffer_b64":"AA=="},"3":{"__buffer_b64":"+/+/"}}',
        '{"__bigint":"1"}',
        '{"__buffer_b64":"AQID"}',
        '{"":"","1":"","true":true,"false":false}',
        JSON.stringify({ 1: controls, [controls]: 1, 2: nonCharacters, [nonCharacters]: 2 }),
        JSON.stringify({ 1: `'"\\{},$1`, [`'"\\{},$1`]: 1 }),
        JSON.stringify({ 1: 'x'.repeat(65_000) }),
        JSON.stringify({ 1: '🏁'.repeat(16_250) }),
        JSON.stringify({ ['k'.repeat(65_000)]: 1 }),
        JSON.stringify({ 1: { __buffer_b64: 'AQID'.repeat(16_000) } }),
        JSON.stringify(Object.fromEntries(Array.from({ length: 255 }, (_, io) => [io, io]))),
      ],
    ],
  ])('%s', async (field, values) => {
    for (const json of values) {
      const position = decodeWith(field, json);
      for (const table of ['positions', 'positions_past_limit']) {
        expect(await storeAndRead(position, table)).toStrictEqual(asStored(position));
      }
    }
  });
});

/** `stored` if JSONB has the value that Postgres reads from the number itself, or the reason for rejecting it. */
async function storeNumber(source: string): Promise<string> {
  const decoded = decodePosition(good.replace('"attributes":{}', `"attributes":{"1":${source}}`));
  if (decoded instanceof CodecError) return decoded.reason;
  const [row] = await sql<{ equal: boolean }[]>`
    select (${decoded.attributesJson}::text::jsonb -> '1')::numeric = ${source}::text::numeric as equal`;
  return row?.equal === true ? 'stored' : `stored as ${decoded.attributesJson}`;
}

describe('every number of an attribute is stored as it came, or rejected', () => {
  const digits = fc.stringMatching(/^[0-9]{1,45}$/);
  const number = fc
    .tuple(
      fc.constantFrom('', '-'),
      digits.map((value) => value.replace(/^0+(?=.)/, '')),
      fc.option(digits),
      fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-', 'E-'), fc.nat({ max: 340 }))),
    )
    .map(
      ([sign, integer, fraction, exponent]) =>
        `${sign}${integer}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : exponent.join('')}`,
    );
  const extremes = [
    `${'9'.repeat(40)}e268`,
    `-${'9'.repeat(40)}e-363`,
    `0.${'0'.repeat(16_000)}e1`,
    `1${'0'.repeat(308)}.${'0'.repeat(16_000)}`,
    '12345678901234567890',
    '1e-400',
    '1e400',
  ];

  test('with the value that Postgres reads', async () => {
    const outcomes: string[] = [];
    await fc.assert(
      fc.asyncProperty(number, async (source) => {
        const outcome = await storeNumber(source);
        outcomes.push(outcome);
        expect(['stored', 'not_finite', 'out_of_range']).toContain(outcome);
      }),
      { numRuns: 1000, examples: extremes.map((source): [string] => [source]) },
    );
    expect(outcomes.filter((outcome) => outcome === 'stored').length).toBeGreaterThan(100);
  });
});

test('any decoded position is stored and read back, with the types of its attributes', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryPosition, async (sent) => {
      const position = decodeValues(encodePosition(sent));
      if (position instanceof CodecError) throw new TypeError(position.detail);
      expect(await storeAndRead(position)).toStrictEqual(asStored(position));
    }),
    { numRuns: 400 },
  );
});

test('attributes are equal in JSONB exactly if they are equal here', async () => {
  const value = fc.constantFrom<Attributes[string]>(
    0,
    1,
    1n,
    '1',
    true,
    '',
    new Uint8Array(),
    new Uint8Array([1]),
    0n,
  );
  const smallAttributes = fc.dictionary(fc.constantFrom('1', '2'), value, { noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(smallAttributes, smallAttributes, async (a, b) => {
      const [row] = await sql<{ equal: boolean }[]>`
        select ${encodeAttributes(a)}::text::jsonb = ${encodeAttributes(b)}::text::jsonb as equal`;
      expect(row?.equal).toBe(fc.stringify(a) === fc.stringify(b));
    }),
    { numRuns: 200 },
  );
});

describe('the table rejects what decode rejects or changes for its sake', () => {
  test.each([
    ['a NUL in a string', `select '{"1":"\\u0000"}'::jsonb`, '22P05'],
    ['a lone surrogate in a string', `select '{"1":"\\ud800"}'::jsonb`, '22P02'],
    ['a fraction of too many digits', `select '0.${'9'.repeat(16_384)}'::jsonb`, '22003'],
    ['a number too small for a real', `select '1e-50'::real`, '22003'],
    ['a number too large for a real', `select '1e39'::real`, '22003'],
  ])('%s', async (_, statement, code) => {
    await expect(sql.unsafe(statement)).rejects.toMatchObject({ code });
  });

  test('a leap second, which Postgres makes the second after it', async () => {
    const [row] = await sql<{ ts: Date }[]>`select '2016-12-31T23:59:60Z'::timestamptz as ts`;
    expect(row?.ts).toEqual(new Date('2017-01-01T00:00:00Z'));
    expect(decodePosition(good.replace('2026-11-24T00:00:00.000Z', '2016-12-31T23:59:60Z'))).toMatchObject({
      reason: 'bad_timestamp',
    });
  });
});
