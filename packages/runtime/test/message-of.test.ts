import { expect, test } from 'vitest';
import { messageOf } from '../src/message-of.ts';

test('is that of the error, or of its first cause where its own says nothing', () => {
  const refused = new Error('connect ECONNREFUSED ::1:6379');
  expect(messageOf(refused)).toBe(refused.message);
  expect(messageOf(new AggregateError([refused, new Error('other')]))).toBe(refused.message);
  expect(messageOf(new TypeError('fetch failed', { cause: refused }))).toBe(refused.message);
  expect(messageOf(new RangeError())).toBe('RangeError');
  expect(messageOf('a string')).toBe('a string');
});

test('of what was thrown before disposal failed too', () => {
  const disposal = new SuppressedError(new Error('second disposal'), new Error('the reason'));
  expect(messageOf(new SuppressedError(new Error('third disposal'), disposal))).toBe('the reason');
});
