import { expect, test, vi } from 'vitest';
import { DeadlineError, withDeadline } from '../src/deadline.ts';
import { delay } from '../src/retry.ts';

const never = new AbortController().signal;

test('gives the outcome of work that is in time, and keeps no timer', async () => {
  vi.useFakeTimers();
  await expect(withDeadline(Promise.resolve(7), 60_000, 'work')).resolves.toBe(7);
  await expect(withDeadline(Promise.reject(new Error('broken')), 60_000, 'work')).rejects.toThrow('broken');
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('rejects, naming the work and the time, when it is late', async () => {
  const outcome = withDeadline(Promise.withResolvers().promise, 5, 'SELECT 1 to Postgres');
  await expect(outcome).rejects.toBeInstanceOf(DeadlineError);
  await expect(outcome).rejects.toMatchObject({
    message: 'SELECT 1 to Postgres did not answer within 5 ms',
    code: 'DEADLINE_EXCEEDED',
    deadlineMs: 5,
  });
});

test('ignores a failure that comes after the deadline', async () => {
  const late = Promise.withResolvers<never>();
  await expect(withDeadline(late.promise, 1, 'work')).rejects.toBeInstanceOf(DeadlineError);
  // An unhandled rejection would fail the run.
  late.reject(new Error('too late'));
  await delay(1, never);
});
