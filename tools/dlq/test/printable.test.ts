import { expect, test } from 'vitest';
import { decodeUtf8, describeAge, printable, table } from '../src/printable.ts';

test('control characters are escaped', () => {
  expect(printable('plain é 漢 "x"')).toBe('plain é 漢 "x"');
  expect(printable('\x1B]0;title\x07\r\n\x9B2J\u202E\u2028\uD800\0')).toBe(
    '\\u{1b}]0;title\\u{7}\\u{d}\\u{a}\\u{9b}2J\\u{202e}\\u{2028}\\u{d800}\\u{0}',
  );
});

test('only valid UTF-8 is decoded', () => {
  expect(decodeUtf8(Buffer.from('\uFEFFé'))).toBe('\uFEFFé');
  expect(decodeUtf8(Buffer.from([0xc3, 0x28]))).toBeUndefined();
  expect(decodeUtf8(Buffer.from([0xed, 0xa0, 0x80]))).toBeUndefined();
});

test('ages are rounded down to the largest suitable unit', () => {
  expect([-5, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000].map(describeAge)).toEqual([
    '0 s',
    '119 s',
    '2 min',
    '119 min',
    '2 h',
    '2 d',
  ]);
});

test('columns are aligned', () => {
  const rows = [
    ['A', 'N'],
    ['long', '7'],
  ];
  expect(table(rows, new Set([1]))).toBe('  A     N\n  long  7');
});
