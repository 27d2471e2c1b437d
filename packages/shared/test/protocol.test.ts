import { expect, test } from 'vitest';
import { closeCode, errorCodes, isTemporaryError, shouldReconnect } from '../src/protocol.ts';

test('the errors that may go away by themselves are those that the protocol marks', () => {
  expect(errorCodes.filter(isTemporaryError)).toEqual([
    'rate-limited',
    'unavailable',
    'draining',
    'internal',
  ]);
});

test('a client comes back after every close code but those that say stop', () => {
  const stops = Object.entries(closeCode).filter(([, code]) => !shouldReconnect(code));
  expect(stops).toEqual([
    ['brokeProtocol', 4400],
    ['tooManyConnections', 4403],
  ]);
});

test('the ranges need no table: what a later version adds to them is understood', () => {
  expect([4000, 4099, 1006, 1011].map(shouldReconnect)).toEqual([true, true, true, true]);
  expect([4400, 4499, 1000].map(shouldReconnect)).toEqual([false, false, false]);
  expect([4399, 4500].map(shouldReconnect)).toEqual([true, true]);
});
