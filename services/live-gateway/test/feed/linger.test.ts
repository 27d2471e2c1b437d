import { expect, test } from 'vitest';
import { lingerMs } from '../../src/feed/linger.ts';

test('a read is made shortly before the next tick', () => {
  expect(lingerMs(100, 100, 0)).toBe(95);
  expect(lingerMs(30, 100, 0)).toBe(25);
});

test('the longer it takes to apply what was read, the sooner, but never sooner than half a tick', () => {
  expect(lingerMs(100, 100, 10)).toBe(75);
  expect(lingerMs(100, 100, 80)).toBe(50);
});

test('once a tick, however early or late the timers are', () => {
  // The read for this tick came just now: the next one is for the next tick.
  for (const untilTickMs of [7, 5, 3, 0, -3]) expect(lingerMs(untilTickMs, 100, 0)).toBe(untilTickMs + 95);
  expect(lingerMs(30, 100, 10)).toBe(105);
});

test('at once where a tick takes longer than it may', () => {
  expect(lingerMs(-200, 100, 0)).toBe(0);
});
