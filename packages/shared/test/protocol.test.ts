import { expect, test } from 'vitest';
import { closeCode, errorCodes, isTemporaryError, shouldReconnect } from '../src/protocol.ts';

test('temporary errors', () => {
  expect(errorCodes.filter(isTemporaryError)).toEqual([
    'rate-limited',
    'unavailable',
    'draining',
    'internal',
  ]);
});

test('a client reconnects after every close code except those that end it', () => {
  const final = Object.entries(closeCode).filter(([, code]) => !shouldReconnect(code));
  expect(final).toEqual([
    ['protocolViolation', 4400],
    ['tooManyConnections', 4403],
  ]);
});

test('close codes that a later version adds are covered by ranges', () => {
  expect([4000, 4099, 1006, 1011].map(shouldReconnect)).toEqual([true, true, true, true]);
  expect([4400, 4499, 1000].map(shouldReconnect)).toEqual([false, false, false]);
  expect([4399, 4500].map(shouldReconnect)).toEqual([true, true]);
});
