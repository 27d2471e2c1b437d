import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  arbitraryAttributes,
  arbitraryPosition,
  canonicalAttributes,
  canonicalPosition,
} from './arbitrary-position.ts';
import { decodeValues, withAttributes } from './decode-values.ts';
import {
  CodecError,
  decodeAttributes,
  decodePosition,
  encodeAttributes,
  encodePosition,
} from '../src/codec.ts';
import { decodeFields } from '../src/entry.ts';

test('any position survives encode → decode, as a string and as bytes', () => {
  fc.assert(
    fc.property(arbitraryPosition, (position) => {
      const payload = encodePosition(position);
      expect(decodeValues(payload)).toStrictEqual(position);
      expect(decodeValues(new TextEncoder().encode(payload))).toStrictEqual(position);
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

/** Checks that a decoded payload is what its JSON says and that encoding and decoding it again changes nothing. */
function expectConsistent(payload: Uint8Array | string): void {
  const decoded = decodePosition(payload);
  if (decoded instanceof CodecError) return;
  const position = withAttributes(decoded);
  expect(decodeValues(encodePosition(position))).toStrictEqual(position);

  const attributesJson: unknown = JSON.parse(decoded.attributesJson);
  const payloadJson = typeof payload === 'string' ? payload : new TextDecoder().decode(payload);
  expect(JSON.stringify(attributesJson)).toBe(JSON.stringify(JSON.parse(payloadJson).attributes));
  expect(JSON.stringify(attributesJson)).toBe(encodeAttributes(position.attributes));
  // Each value has one encoding, passed through or not. Only the order of keys and numbers of more digits than a double
  // has may differ.
  if (!/[0-9]{16}/.test(decoded.attributesJson)) {
    expect(decoded.attributesJson).toHaveLength(encodeAttributes(position.attributes).length);
  }
}

const withCanonicalAttributes = fc
  .tuple(arbitraryPosition, canonicalAttributes)
  .map(([position, attributes]) => Object.assign(position, { attributes }));

test('attributes of IO elements are passed through as encode wrote them', () => {
  fc.assert(
    fc.property(fc.oneof(withCanonicalAttributes, canonicalPosition), (position) => {
      expect(decodePosition(encodePosition(position))).toMatchObject({
        attributesJson: encodeAttributes(position.attributes),
      });
    }),
    { numRuns: 500 },
  );
});

describe('decode never throws, and decodes what it accepts the same way again', () => {
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
    '"speed":1,',
    '12345678901234567890',
    '1e-400',
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
      let payload = encodePosition(position);
      for (const [where, inserted, removed] of edits) {
        const at = Math.floor(where * payload.length);
        payload = payload.slice(0, at) + inserted + payload.slice(at + removed);
      }
      return payload;
    });
  const swapped = fc
    .tuple(anyPosition, fc.nat({ max: 9 }), fc.oneof(anyJson, fragment))
    .map(([position, field, json]) => {
      const members = Object.entries(JSON.parse(encodePosition(position)));
      return `{${members.map(([name, value], at) => `${JSON.stringify(name)}:${at === field ? json : JSON.stringify(value)}`).join(',')}}`;
    });

  test.each([
    ['any string', fc.string({ unit: 'binary' })],
    [
      'any UTF-16 units',
      fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    ],
    ['any JSON', anyJson],
    ['a payload with parts inserted and removed', mutated],
    ['a payload with a value replaced', swapped],
    ['any bytes', fc.uint8Array({ maxLength: 400 })],
    ['the bytes of a mutated payload', mutated.map((payload) => new TextEncoder().encode(payload))],
  ])('%s', (_, payload: fc.Arbitrary<Uint8Array | string>) => {
    fc.assert(fc.property(payload, expectConsistent), { numRuns: 1000 });
  });

  test('a payload with a byte changed', () => {
    const payload = anyPosition.map((position) => new TextEncoder().encode(encodePosition(position)));
    fc.assert(
      fc.property(
        payload,
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.nat({ max: 255 }),
        (bytes, where, byte) => {
          expectConsistent(bytes.with(Math.floor(where * bytes.length), byte));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('any JSON in a JSONB column', () => {
    fc.assert(
      fc.property(fc.oneof(anyJson, arbitraryAttributes.map(encodeAttributes)), (json) => {
        const attributes = decodeAttributes(JSON.parse(json));
        if (attributes instanceof CodecError) return;
        expect(decodeAttributes(JSON.parse(encodeAttributes(attributes)))).toStrictEqual(attributes);
      }),
      { numRuns: 1000 },
    );
  });

  test('any value that is not JSON', () => {
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
      fc.constantFrom('payload', 'codec', 'ts').map((ascii) => Buffer.from(ascii)),
      fc.uint8Array({ maxLength: 9 }),
    );
    const value = fc.oneof(
      fc.constantFrom('8', '8E', '16', '{}').map((ascii) => Buffer.from(ascii)),
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
