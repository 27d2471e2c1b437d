import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** How long to go on trying. Default 5000. */
  readonly timeoutMs?: number;
  /** How long to wait between two tries. Default 20. */
  readonly intervalMs?: number;
}

/** Anything but nothing: a probe of expectations alone has to say, by `return true`, that they all held. */
type Something = object | string | number | bigint | boolean | symbol | null | undefined;

/**
 * Tries `probe` until it gives something, and returns that.
 *
 * A probe that throws, or gives `undefined` or `false`, has not got there yet; everything else,
 * 0, '' and null among it, is an answer. At the deadline an error says what was last seen: the
 * probe's last error is its `cause`, so an `expect(...)` inside the probe explains itself. A probe
 * that itself never comes back is not waited for beyond the deadline.
 */
export async function eventually<T extends Something>(
  probe: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const { timeoutMs = 5000, intervalMs = 20 } = options;
  const deadlineMs = performance.now() + timeoutMs;
  let lastSeen = 'the first try has not come back';
  let lastError: unknown;
  let tries = 0;
  using deadline = deadlineAfter(timeoutMs);
  for (;;) {
    try {
      const seen = await Promise.race([Promise.resolve(probe()), deadline.passed]);
      if (seen === deadline.mark) break;
      tries += 1;
      if (isAnswer(seen)) return seen;
      lastSeen =
        seen === false
          ? 'last seen: false'
          : 'last seen: undefined, where a probe that is done returns something';
      lastError = undefined;
    } catch (error) {
      tries += 1;
      lastSeen = `last error: ${error instanceof Error ? error.message : String(error)}`;
      lastError = error;
    }
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) break;
    await sleep(Math.min(intervalMs, leftMs));
  }
  throw new Error(
    `Not so within ${timeoutMs} ms and ${tries} tries; ${lastSeen}`,
    lastError === undefined ? {} : { cause: lastError },
  );
}

function isAnswer<T>(seen: T | typeof late): seen is Exclude<T, undefined | false> {
  return seen !== undefined && seen !== false;
}

const late = Symbol('deadline passed');

function deadlineAfter(ms: number): {
  mark: typeof late;
  passed: Promise<typeof late>;
  [Symbol.dispose](): void;
} {
  const { promise, resolve } = Promise.withResolvers<typeof late>();
  const timer = setTimeout(() => {
    resolve(late);
  }, ms);
  return {
    mark: late,
    passed: promise,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
    },
  };
}
