import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64, isBase64 } from '../src/base64.ts';

test('bytes are written as every other base64 encoder writes them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
    }),
  );
});

test('what was written is read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
    }),
  );
});

test('a text is taken only if it is the one that its bytes are written as', () => {
  const alphabetic = fc.stringMatching(/^[A-Za-z0-9+/=]{0,12}$/);
  fc.assert(
    fc.property(fc.oneof(alphabetic, fc.string({ unit: 'binary' })), (text) => {
      const ofNode = Buffer.from(text, 'base64');
      expect(isBase64(text)).toBe(ofNode.toString('base64') === text);
      fc.pre(isBase64(text));
      expect(decodeBase64(text)).toEqual(new Uint8Array(ofNode));
    }),
    { numRuns: 1000 },
  );
});

const refused = [
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

test.each(refused)('%j is refused', (text) => {
  expect(isBase64(text)).toBe(false);
});
