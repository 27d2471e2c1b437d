import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64, isBase64 } from '../src/base64.ts';

test('encodes as Node does', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
    }),
  );
});

test('decodes what it encoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
    }),
  );
});

test('accepts a string only if it is the encoding of its bytes', () => {
  const alphabetic = fc.stringMatching(/^[A-Za-z0-9+/=]{0,12}$/);
  fc.assert(
    fc.property(fc.oneof(alphabetic, fc.string({ unit: 'binary' })), (value) => {
      const decodedByNode = Buffer.from(value, 'base64');
      expect(isBase64(value)).toBe(decodedByNode.toString('base64') === value);
      fc.pre(isBase64(value));
      expect(decodeBase64(value)).toEqual(new Uint8Array(decodedByNode));
    }),
    { numRuns: 1000 },
  );
});

const rejected = [
  'A',
  'AQ',
  'AQI',
  'AQI=\n',
  ' AQI=',
  'AQ=I',
  '=AQI',
  '====',
  'A===',
  'AR==',
  'AQJ=',
  'AQ-_',
  'AQIDÄ===',
  'AQ==AQ==',
];

test.each(rejected)('%j is rejected', (value) => {
  expect(isBase64(value)).toBe(false);
});
