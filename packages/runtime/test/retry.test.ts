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
  test('returns the first success, with attempts numbered from 1', async () => {
    await expect(retry(failing(4), { signal: never, initialDelayMs: 1 })).resolves.toBe('success 5');
  });

  test('reports each failure with its attempt and delay', async () => {
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

  test('retries without limit by default', async () => {
    await expect(retry(failing(200), { signal: never, random: () => 0 })).resolves.toBe('success 201');
  });

  test('rejects with the last error when attempts are used up', async () => {
    const attempt = vi.fn<Attempt>(failing(9));
    await expect(retry(attempt, { signal: never, maxAttempts: 3, initialDelayMs: 1 })).rejects.toThrow(
      'failure 3',
    );
    expect(attempt).toHaveBeenCalledTimes(3);
  });

  test('rejects with an error that is not retryable', async () => {
    const attempt = vi.fn<Attempt>(failing(9));
    await expect(
      retry(attempt, { signal: never, isRetryable: isNotSecond, initialDelayMs: 1 }),
    ).rejects.toThrow('failure 2');
    expect(attempt).toHaveBeenCalledTimes(2);
  });

  test('a stop during a wait rejects with its reason', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const outcome = retry(failing(9), {
      signal: stop.signal,
      initialDelayMs: 60_000,
      maxDelayMs: 60_000,
      random: () => 0.999,
      onRetry: () => setTimeout(() => stop.abort(reason), 5),
    });
    await expect(outcome).rejects.toBe(reason);
  });

  test('does not start after a stop', async () => {
    const attempt = vi.fn<Attempt>(failing(0));
    await expect(retry(attempt, { signal: AbortSignal.abort('stopped') })).rejects.toBe('stopped');
    expect(attempt).not.toHaveBeenCalled();
  });

  test('an attempt that the stop interrupts counts as stopped', async () => {
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
  test('is an integer between 0 and the bound', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 60_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attemptNumber, initialDelayMs, maxDelayMs, random) => {
          const delayMs = fullJitterMs(attemptNumber, { initialDelayMs, maxDelayMs, random: () => random });
          expect(Number.isInteger(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThanOrEqual(0);
          expect(delayMs).toBeLessThanOrEqual(maxDelayMs);
        },
      ),
    );
  });

  test('covers the whole range, including 0', () => {
    const delaysMs = [0, 0.5, 0.9999].map((chance) => fullJitterMs(3, { random: () => chance }));
    expect(delaysMs).toEqual([0, 200, 400]);
  });
});

describe('delay', () => {
  test('rejects with the reason itself', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped');
    const waiting = delay(60_000, stop.signal);
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(delay(60_000, stop.signal)).rejects.toBe(reason);
  });

  test('resolves after the delay', async () => {
    await expect(delay(1, never)).resolves.toBeUndefined();
  });
});
