import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Default 20 000: a machine that is busy may take long, and a condition that holds costs nothing. */
  readonly timeoutMs?: number;
  /** Pause between two attempts. Default 20. */
  readonly intervalMs?: number;
}

/** Excludes void: a probe that only has expectations must return true. */
type Something = object | string | number | bigint | boolean | symbol | null | undefined;

const expired = Symbol('the deadline has passed');

/**
 * Calls `probe` until it returns a value other than `undefined` and `false`, and returns that.
 *
 * A probe may throw: the last error is the `cause` of the error at the deadline, so that an `expect(...)` inside the
 * probe explains itself. A probe that never returns is not waited for beyond the deadline.
 */
export async function eventually<T extends Something>(
  probe: () => T | Promise<T>,
  { timeoutMs = 20_000, intervalMs = 20 }: EventuallyOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadlineMs = performance.now() + timeoutMs;
  const deadline = Promise.withResolvers<typeof expired>();
  const timer = setTimeout(() => deadline.resolve(expired), timeoutMs);
  let last = 'the first attempt has not returned';
  let lastError: unknown;
  let attempts = 0;
  try {
    for (;;) {
      try {
        const value = await Promise.race([Promise.resolve(probe()), deadline.promise]);
        if (value === expired) break;
        attempts += 1;
        if (isAnswer(value)) return value;
        last = value === false ? 'last value: false' : 'last value: undefined';
        lastError = undefined;
      } catch (error) {
        attempts += 1;
        last = `last error: ${error instanceof Error ? error.message : String(error)}`;
        lastError = error;
      }
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) break;
      await sleep(Math.min(intervalMs, leftMs));
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error(
    `Not so within ${timeoutMs} ms and ${attempts} attempts; ${last}`,
    lastError === undefined ? {} : { cause: lastError },
  );
}

function isAnswer<T>(value: T | typeof expired): value is Exclude<T, undefined | false> {
  return value !== undefined && value !== false;
}
