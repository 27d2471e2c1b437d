import * as fc from 'fast-check';
import type { AttributeValue, Position } from '../src/position.ts';

/** Strings that attributes may contain: any code point except NUL. */
const storableString = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map((value) => value.replaceAll('\0', '\u{1F3C1}'));

const prototypeKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const attributeKey = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 65_535 }).map(String) },
  { weight: 1, arbitrary: storableString.filter((key) => !prototypeKeys.has(key)) },
  { weight: 1, arbitrary: fc.constantFrom('__bigint', '__buffer_b64', 'toJSON', 'toString', 'length', '') },
);

const largestBigint = 10n ** 20n - 1n;

const attributeValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(withoutMinusZero),
  storableString,
  fc.constantFrom('{"__bigint":"1"}', '{"__buffer_b64":"AQID"}', '__proto__', '1e400'),
  fc.boolean(),
  fc.bigInt({ min: -largestBigint, max: largestBigint }),
  fc.uint8Array({ maxLength: 64 }),
);

export const arbitraryAttributes = fc.oneof(
  fc.dictionary(attributeKey, attributeValue, { maxKeys: 30, noNullPrototype: true }),
  fc.dictionary(fc.nat({ max: 65_535 }).map(String), fc.integer(), {
    minKeys: 255,
    maxKeys: 255,
    noNullPrototype: true,
  }),
);

/** Attributes as trackers send them: numeric keys, numbers of few digits, strings of printable ASCII. */
export const canonicalAttributes = fc.dictionary(
  fc.nat({ max: 65_535 }).map(String),
  fc.oneof(
    fc
      .maxSafeInteger()
      .map((value) => value % 1e15)
      .map(withoutMinusZero),
    fc.integer({ min: -999_999_999, max: 999_999_999 }).map((value) => withoutMinusZero(value / 1e6)),
    fc.string({ unit: 'grapheme-ascii' }).map((value) => value.replaceAll(/["\\]/g, "'")),
    fc.boolean(),
    fc.bigInt({ min: -largestBigint, max: largestBigint }),
    fc.uint8Array({ maxLength: 64 }),
  ),
  { maxKeys: 30, noNullPrototype: true },
);

/** Any position within its bounds, normalised as decode does. */
export const arbitraryPosition: fc.Arbitrary<Position> = fc.record(
  {
    deviceId: fc.stringMatching(/^[0-9A-Za-z_-]{1,32}$/),
    fixAtMs: fc.integer({ min: 0, max: Date.UTC(9999, 11, 31, 23, 59, 59, 999) }),
    latitude: degrees(90),
    longitude: degrees(180),
    altitudeM: fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(withoutTiny),
    courseDeg: fc.double({ min: 0, max: 360, noNaN: true }).map(withoutTiny),
    speedKmh: fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(withoutTiny),
    satellites: fc.integer({ min: 0, max: 255 }),
    priority: fc.constantFrom(0, 1, 2),
    attributes: arbitraryAttributes,
  },
  { noNullPrototype: true },
);

/** A position as trackers send it: numbers of few digits, attributes of IO elements. */
export const canonicalPosition: fc.Arbitrary<Position> = fc
  .tuple(
    arbitraryPosition,
    decimal(90, 1e7),
    decimal(180, 1e7),
    decimal(1e6, 100),
    decimal(1e6, 10),
    fc.integer({ min: 0, max: 3600 }),
    canonicalAttributes,
  )
  .map(([position, latitude, longitude, altitudeM, speedKmh, tenths, attributes]) =>
    Object.assign(position, { latitude, longitude, altitudeM, courseDeg: tenths / 10, speedKmh, attributes }),
  );

function decimal(maxAbs: number, parts: number): fc.Arbitrary<number> {
  return fc.integer({ min: -maxAbs * parts, max: maxAbs * parts }).map((value) => withoutTiny(value / parts));
}

function degrees(maxAbs: number): fc.Arbitrary<number> {
  return fc.double({ min: -maxAbs, max: maxAbs, noNaN: true }).map(withoutMinusZero);
}

function withoutMinusZero(value: number): number {
  return value === 0 ? 0 : value;
}

function withoutTiny(value: number): number {
  return Math.abs(value) < 1e-6 ? 0 : value;
}
