import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { delay, fullJitterMs, retry } from '../src/retry.ts';

const never = new AbortController().signal;

type Attempt = (attemptNumber: number) => Promise<string>;

function failing(times: number): Attempt {
  return async (attemptNumber) => {
    if (attemptNumber <= times) {
      throw new Error(`failure ${attemptNumber}`);
    }
    return `success ${attemptNumber}`;
  };
}

function isNotSecond(error: unknown): boolean {
  return !String(error).includes('failure 2');
}

describe('retry', () => {
  test('gives the first success and has counted its attempts from 1', async () => {
    await expect(retry(failing(4), { signal: never, initialDelayMs: 1 })).resolves.toBe('success 5');
  });

  test('reports each failure with its attempt and a wait within the doubling bound', async () => {
    const reports: [string, number, number][] = [];
    await retry(failing(4), {
      signal: never,
      initialDelayMs: 1,
      maxDelayMs: 4,
      random: () => 0.999,
      onRetry: (error, delayMs, attemptNumber) => reports.push([String(error), delayMs, attemptNumber]),
    });
    expect(reports).toEqual([
      ['Error: failure 1', 1, 1],
      ['Error: failure 2', 2, 2],
      ['Error: failure 3', 4, 3],
      ['Error: failure 4', 4, 4],
    ]);
  });

  test('goes on for ever when no number of attempts is given', async () => {
    await expect(retry(failing(200), { signal: never, random: () => 0 })).resolves.toBe('success 201');
  });

  test('passes the last error on when the attempts are used up', async () => {
    const attempt = vi.fn<Attempt>(failing(9));
    await expect(retry(attempt, { signal: never, maxAttempts: 3, initialDelayMs: 1 })).rejects.toThrow(
      'failure 3',
    );
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  test('passes an error on at once that is not retryable', async () => {
    const attempt = vi.fn<Attempt>(failing(9));
    await expect(
      retry(attempt, { signal: never, isRetryable: isNotSecond, initialDelayMs: 1 }),
    ).rejects.toThrow('failure 2');
    expect(attempt).toHaveBeenCalledTimes(2);
  });

  test('ends in the middle of a wait when it is stopped, with the reason of the stop', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const startedAtMs = performance.now();
    const outcome = retry(failing(9), {
      signal: stop.signal,
      initialDelayMs: 60_000,
      maxDelayMs: 60_000,
      random: () => 0.999,
      onRetry: () => setTimeout(() => stop.abort(reason), 5),
    });
    await expect(outcome).rejects.toBe(reason);
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
  });

  test('does not begin when it is stopped already', async () => {
    const attempt = vi.fn<Attempt>(failing(0));
    await expect(retry(attempt, { signal: AbortSignal.abort('stopped') })).rejects.toBe('stopped');
    expect(attempt).not.toHaveBeenCalled();
  });

  test('ends as stopped when the stop made the attempt fail', async () => {
    const stop = new AbortController();
    const onRetry = vi.fn<() => void>();
    const outcome = retry(
      async () => {
        stop.abort('stopped');
        throw new Error('interrupted');
      },
      { signal: stop.signal, onRetry },
    );
    await expect(outcome).rejects.toBe('stopped');
    expect(onRetry).not.toHaveBeenCalled();
  });
});

describe('fullJitterMs', () => {
  test('is a whole number between 0 and the bound, whatever the attempt and the chance', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 60_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attemptNumber, initialDelayMs, maxDelayMs, chance) => {
          const delayMs = fullJitterMs(attemptNumber, { initialDelayMs, maxDelayMs, random: () => chance });
          expect(Number.isInteger(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThanOrEqual(0);
          expect(delayMs).toBeLessThanOrEqual(maxDelayMs);
        },
      ),
    );
  });

  test('spreads over the whole range, down to no wait at all', () => {
    const delaysMs = [0, 0.5, 0.9999].map((chance) => fullJitterMs(3, { random: () => chance }));
    expect(delaysMs).toEqual([0, 200, 400]);
  });
});

describe('delay', () => {
  test('rejects with the reason itself, not with an error around it', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const waiting = delay(60_000, stop.signal);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(delay(60_000, stop.signal)).rejects.toBe(reason);
  });

  test('resolves when the time is over', async () => {
    await expect(delay(1, never)).resolves.toBeUndefined();
  });
});
