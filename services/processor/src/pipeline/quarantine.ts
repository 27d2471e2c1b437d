import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Entry } from '../stream/entry-reply.ts';

/** Hash of entry id → attempts at that entry alone that have begun and not ended. */
export function attemptsKey(stream: string): string {
  return `${stream}:attempts`;
}

/** A `kill -9` or the kernel's out-of-memory killer may end an attempt at a healthy entry, hence more than one. */
const maxUnendedAttempts = 2;
/** An entry that kills the process does so while it is decoded and sent; an attempt that takes longer waits for a lock. */
const maxWorkMs = 1000;

/** What a quarantined entry needs from the loop. */
export interface QuarantineSteps {
  /** Processes one entry like any other; calls `onWait` before it waits for Postgres. */
  readonly process: (entry: Entry, onWait: () => void) => Promise<void>;
  /** Dead-letters and acknowledges the entry; `attempts` ended with the death of the process. */
  readonly reject: (entry: Entry, attempts: number) => Promise<void>;
}

/**
 * Processes entries that were delivered too often one by one, so that one that kills the process can be told from those
 * that were merely read often: a counter in Redis outlives an attempt only if the process dies in it. The wait for
 * Postgres does not count, since a process that is killed in an outage was not killed by the entry.
 */
export async function processQuarantined(
  redis: Redis,
  stream: string,
  entries: readonly Entry[],
  steps: QuarantineSteps,
  options: { readonly signal: AbortSignal; readonly onRetry: () => void },
): Promise<void> {
  const key = attemptsKey(stream);
  // Best effort: a counter left behind counts one attempt too many, and the next attempt at the entry clears it.
  const clear = (id: string): Promise<unknown> => redis.hdel(key, id).catch(() => undefined);
  for (const entry of entries) {
    // Set, not incremented: a command that is sent again after a lost reply must not count twice.
    const unended = Number((await retry(() => redis.hget(key, entry.id), options)) ?? 0);
    await retry(() => redis.hset(key, entry.id, unended + 1), options);
    const timer = setTimeout(() => void clear(entry.id), maxWorkMs);
    try {
      if (unended >= maxUnendedAttempts) await steps.reject(entry, unended);
      else await steps.process(entry, () => void clear(entry.id));
    } finally {
      clearTimeout(timer);
      await clear(entry.id);
    }
  }
}
