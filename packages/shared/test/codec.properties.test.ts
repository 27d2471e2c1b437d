import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  arbitraryAttributes,
  arbitraryPosition,
  canonicalAttributes,
  canonicalPosition,
} from './arbitrary-position.ts';
import {
  CodecError,
  decodeAttributes,
  decodePosition,
  encodeAttributes,
  encodePosition,
  receivePosition,
} from '../src/codec.ts';
import { decodeFields } from '../src/entry.ts';
import type { Position } from '../src/position.ts';

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

/** Holds that a payload is received as it is decoded: the table takes the text of its attributes as it is. */
function expectReceived(payload: Uint8Array | string, decoded: Position | CodecError): void {
  const received = receivePosition(payload);
  if (decoded instanceof CodecError || received instanceof CodecError) {
    expect(received).toStrictEqual(decoded);
    return;
  }
  const { attributes, ...fields } = decoded;
  const { attributesJson, ...receivedFields } = received;
  expect(receivedFields).toStrictEqual(fields);
  const parsed: unknown = JSON.parse(attributesJson);
  expect(JSON.stringify(parsed)).toBe(encodeAttributes(attributes));
  // Each value has one text, be it handed through or written anew: the order of the keys may differ, and one that is
  // there twice.
  const namesOnce = new Set(attributesJson.match(/"[0-9]{1,5}":/g)).size === Object.keys(attributes).length;
  if (namesOnce) expect(attributesJson).toHaveLength(encodeAttributes(attributes).length);
}

const withCanonicalAttributes = fc
  .tuple(arbitraryPosition, canonicalAttributes)
  .map(([position, attributes]) => Object.assign(position, { attributes }));

test('attributes of IO elements are handed through as encode wrote them', () => {
  fc.assert(
    fc.property(fc.oneof(withCanonicalAttributes, canonicalPosition), (position) => {
      expect(receivePosition(encodePosition(position))).toMatchObject({
        attributesJson: encodeAttributes(position.attributes),
      });
    }),
    { numRuns: 500 },
  );
});

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
  const anyPosition = fc.oneof(arbitraryPosition, withCanonicalAttributes, canonicalPosition);
  const mutated = fc
    .tuple(
      anyPosition,
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
    .tuple(anyPosition, fc.nat({ max: 9 }), fc.oneof(anyJson, fragment))
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
        expectReceived(some, decoded);
      }),
      { numRuns: 1000 },
    );
  });

  test('a payload with a byte changed', () => {
    const payload = anyPosition.map((position) => new TextEncoder().encode(encodePosition(position)));
    fc.assert(
      fc.property(
        payload,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.nat({ max: 255 }),
        (bytes, where, byte) => {
          const changed = bytes.with(Math.floor(where * bytes.length), byte);
          const decoded = decodePosition(changed);
          expect(again(decoded)).toStrictEqual(decoded);
          expectReceived(changed, decoded);
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
