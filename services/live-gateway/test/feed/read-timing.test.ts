import { expect, test } from 'vitest';
import { waitBeforeReadMs } from '../../src/feed/read-timing.ts';

test('the next read is shortly before the next tick', () => {
  expect(waitBeforeReadMs(100, 100, 0)).toBe(95);
  expect(waitBeforeReadMs(30, 100, 0)).toBe(25);
});

test('a longer apply time moves the read forward, by half a tick at most', () => {
  expect(waitBeforeReadMs(100, 100, 10)).toBe(75);
  expect(waitBeforeReadMs(100, 100, 80)).toBe(50);
});

test('there is one read per tick, even if timers are early or late', () => {
  // The read for this tick has just been made.
  for (const untilTickMs of [7, 5, 3, 0, -3])
    expect(waitBeforeReadMs(untilTickMs, 100, 0)).toBe(untilTickMs + 95);
  expect(waitBeforeReadMs(30, 100, 10)).toBe(105);
});

test('an overdue tick is followed by an immediate read', () => {
  expect(waitBeforeReadMs(-200, 100, 0)).toBe(0);
});
