import { expect, test, vi } from 'vitest';
import { DeadlineError, withDeadline } from '../src/deadline.ts';
import { delay } from '../src/retry.ts';

const never = new AbortController().signal;

test('settles as the work does, and clears its timer', async () => {
  vi.useFakeTimers();
  await expect(withDeadline(Promise.resolve(7), 60_000, 'work')).resolves.toBe(7);
  await expect(withDeadline(Promise.reject(new Error('broken')), 60_000, 'work')).rejects.toThrow('broken');
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('rejects after the deadline, naming the operation and the deadline', async () => {
  const outcome = withDeadline(Promise.withResolvers().promise, 5, 'SELECT 1 to Postgres');
  await expect(outcome).rejects.toBeInstanceOf(DeadlineError);
  await expect(outcome).rejects.toMatchObject({
    message: 'SELECT 1 to Postgres did not complete within 5 ms',
    code: 'DEADLINE_EXCEEDED',
  });
});

test('ignores a rejection after the deadline', async () => {
  const late = Promise.withResolvers<never>();
  await expect(withDeadline(late.promise, 1, 'work')).rejects.toBeInstanceOf(DeadlineError);
  // An unhandled rejection would fail the run.
  late.reject(new Error('too late'));
  await delay(1, never);
});
