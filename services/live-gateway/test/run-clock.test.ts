import { expect, onTestFinished, test } from 'vitest';
import { RunClock } from '../src/run-clock.ts';
import { TokenBucket } from '../src/connection/token-bucket.ts';

function openClock() {
  let monotonicMs = 5_000;
  const stops: number[] = [];
  const clock = new RunClock(
    (stoppedMs) => stops.push(stoppedMs),
    () => monotonicMs,
  );
  onTestFinished(() => clock[Symbol.dispose]());
  return { clock, stops, passMs: (ms: number) => (monotonicMs += ms) };
}

test('the run clock counts time while it is read, and a stop as a tenth of a second', () => {
  const { clock, stops, passMs } = openClock();
  const startedAtMs = clock.nowMs();
  for (let n = 0; n < 10; n += 1) {
    passMs(1_000);
    clock.nowMs();
  }
  expect(clock.nowMs() - startedAtMs).toBe(10_000);
  passMs(60_000);
  expect(clock.nowMs() - startedAtMs).toBe(10_100);
  expect(clock.stoppedMs).toBe(59_900);
  passMs(500);
  expect(clock.nowMs() - startedAtMs).toBe(10_600);
  expect(stops).toEqual([60_000]);
});

test('what a client was allowed to send during a stop costs no tokens, for a short time', () => {
  const { clock, passMs } = openClock();
  const bucket = new TokenBucket(10, 20, clock.nowMs(), clock.stoppedMs);
  const take = (): boolean => bucket.take(clock.nowMs(), clock.stoppedMs);
  const passed = (messages: number): number => Array.from({ length: messages }, take).filter(Boolean).length;
  expect(passed(20)).toBe(20);
  passMs(4_100);
  expect(passed(50)).toBe(41);
  // A credit that is not used ends.
  passMs(60_000);
  take();
  for (let n = 0; n < 6; n += 1) {
    passMs(1_000);
    clock.nowMs();
  }
  expect(passed(100)).toBe(20);
});
