import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryAttributes, arbitraryPosition } from '../test/arbitrary-position.ts';
import {
  CodecError,
  decodeAttributes,
  decodePosition,
  encodeAttributes,
  encodePosition,
  receivePosition,
} from './codec.ts';
import { decodeFields } from './entry.ts';
import type { Position } from './position.ts';

test('any Position survives encode → decode, as text and as bytes', () => {
  fc.assert(
    fc.property(arbitraryPosition, (position) => {
      const payload = encodePosition(position);
      expect(decodePosition(payload)).toStrictEqual(position);
      expect(decodePosition(new TextEncoder().encode(payload))).toStrictEqual(position);
    }),
    { numRuns: 500 },
  );
});

test('any attributes survive encode → decode', () => {
  fc.assert(
    fc.property(arbitraryAttributes, (attributes) => {
      expect(decodeAttributes(JSON.parse(encodeAttributes(attributes)))).toStrictEqual(attributes);
    }),
    { numRuns: 500 },
  );
});

/** A refusal stays what it is; a Position goes through encode and decode once more. */
function again(decoded: Position | CodecError): Position | CodecError {
  return decoded instanceof CodecError ? decoded : decodePosition(encodePosition(decoded));
}

/** What `receivePosition` must give for the same payload: the table takes its attributes as they are. */
function inJson(decoded: Position | CodecError): unknown {
  if (decoded instanceof CodecError) return decoded;
  const { attributes, ...fix } = decoded;
  return { ...fix, jsonAttributes: JSON.parse(encodeAttributes(attributes)) };
}

describe('nothing makes decode throw, and what it lets through it lets through again unchanged', () => {
  const anyJson = fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }).map((value) => JSON.stringify(value));
  const fragment = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u0000',
    '\\ud800',
    '1e400',
    '-0',
    'null',
    '1e-7',
    '999',
    '{"__bigint":"1"}',
    '{"__buffer_b64":"AQ=="}',
    '"__proto__":1,',
    '"1":2,',
    '\u0000',
    '\ud800',
    '\u{FEFF}',
    'T',
    '+',
  );
  const mutated = fc
    .tuple(
      arbitraryPosition,
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fragment, fc.nat({ max: 12 })), {
        maxLength: 3,
      }),
    )
    .map(([position, edits]) => {
      let text = encodePosition(position);
      for (const [where, inserted, removed] of edits) {
        const at = Math.floor(where * text.length);
        text = text.slice(0, at) + inserted + text.slice(at + removed);
      }
      return text;
    });
  const swapped = fc
    .tuple(arbitraryPosition, fc.nat({ max: 9 }), fc.oneof(anyJson, fragment))
    .map(([position, field, json]) => {
      const members = Object.entries(JSON.parse(encodePosition(position)));
      return `{${members.map(([name, value], at) => `${JSON.stringify(name)}:${at === field ? json : JSON.stringify(value)}`).join(',')}}`;
    });

  test.each([
    ['any text', fc.string({ unit: 'binary' })],
    [
      'any UTF-16 units',
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    ],
    ['any JSON', anyJson],
    ['a payload with pieces put in and taken out', mutated],
    ['a payload with one value put for another', swapped],
    ['any bytes', fc.uint8Array({ maxLength: 400 })],
    ['the bytes of a mutated payload', mutated.map((text) => new TextEncoder().encode(text))],
  ])('%s', (_, payload: fc.Arbitrary<Uint8Array | string>) => {
    fc.assert(
      fc.property(payload, (some) => {
        const decoded = decodePosition(some);
        expect(again(decoded)).toStrictEqual(decoded);
        expect(JSON.stringify(receivePosition(some))).toBe(JSON.stringify(inJson(decoded)));
      }),
      { numRuns: 1000 },
    );
  });

  test('a payload with a byte changed', () => {
    const payload = arbitraryPosition.map((position) => new TextEncoder().encode(encodePosition(position)));
    fc.assert(
      fc.property(
        payload,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.nat({ max: 255 }),
        (bytes, where, byte) => {
          const decoded = decodePosition(bytes.with(Math.floor(where * bytes.length), byte));
          expect(again(decoded)).toStrictEqual(decoded);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('any JSON as what a JSONB column gave', () => {
    fc.assert(
      fc.property(fc.oneof(anyJson, arbitraryAttributes.map(encodeAttributes)), (json) => {
        const attributes = decodeAttributes(JSON.parse(json));
        if (attributes instanceof CodecError) return;
        expect(decodeAttributes(JSON.parse(encodeAttributes(attributes)))).toStrictEqual(attributes);
      }),
      { numRuns: 1000 },
    );
  });

  test('any value that is no JSON at all', () => {
    const values = fc.anything({
      withBigInt: true,
      withNullPrototype: true,
      withTypedArray: true,
      withDate: true,
    });
    fc.assert(
      fc.property(values, (value) => {
        expect(() => decodeAttributes(value)).not.toThrow();
      }),
      { numRuns: 1000 },
    );
  });

  test('any fields of an entry', () => {
    const name = fc.oneof(
      fc.constantFrom('payload', 'codec', 'ts').map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 9 }),
    );
    const value = fc.oneof(
      fc.constantFrom('8', '8E', '16', '{}').map((text) => Buffer.from(text)),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(name, value), { maxLength: 12 }), (fields) => {
        expect(() => decodeFields(fields)).not.toThrow();
      }),
      { numRuns: 1000 },
    );
  });
});
