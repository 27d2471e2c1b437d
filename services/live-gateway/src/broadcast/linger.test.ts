import { expect, test } from 'vitest';
import { lingerMs } from './linger.ts';

test('a read is made shortly before the next tick', () => {
  expect(lingerMs(100, 100)).toBe(85);
  expect(lingerMs(30, 100)).toBe(15);
});

test('once a tick, however early or late the timers are', () => {
  // The read for this tick came just now: the next one is for the next tick.
  for (const untilTickMs of [22, 15, 10, 1, 0, -3]) expect(lingerMs(untilTickMs, 100)).toBe(untilTickMs + 85);
});

test('at once where a tick takes longer than it may', () => {
  expect(lingerMs(-200, 100)).toBe(0);
});
