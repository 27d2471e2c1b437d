import { expect, test } from 'vitest';
import { lingerMs } from './linger.ts';

test('a read is made shortly before the next tick', () => {
  expect(lingerMs(50, 50)).toBe(45);
  expect(lingerMs(16, 50)).toBe(11);
});

test('once a tick, however early or late the timers are', () => {
  // The read for this tick came just now: the next one is for the next tick.
  for (const untilTickMs of [7, 5, 4, 1, 0, -3]) expect(lingerMs(untilTickMs, 50)).toBe(untilTickMs + 45);
});

test('at once where a tick takes longer than it may', () => {
  expect(lingerMs(-200, 50)).toBe(0);
});
