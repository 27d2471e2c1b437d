import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Entry } from '../stream/entry-reply.ts';

/** Redis hash: entry id → isolated attempts at that entry that the process did not survive. */
export function attemptsKey(stream: string): string {
  return `${stream}:attempts`;
}

/** More than one, because a SIGKILL may end an attempt at a healthy entry. */
const maxFailedAttempts = 2;
/** An entry that crashes the process does so while it is decoded and sent; an attempt that takes longer waits for a lock. */
const maxWorkMs = 1000;

/** What a quarantined entry needs from the loop. */
export interface QuarantineSteps {
  /** Processes one entry like any other; calls `onWait` before it waits for Postgres. */
  readonly process: (entry: Entry, onWait: () => void) => Promise<void>;
  /** Dead-letters and acknowledges the entry after `attempts` that crashed the process. */
  readonly reject: (entry: Entry, attempts: number) => Promise<void>;
}

/**
 * Processes entries that were delivered too often one by one, to find one that crashes the process: a counter in Redis is
 * set before each attempt and cleared after it, so it remains only after a crash. It is also cleared before a wait for
 * Postgres, because a process that is killed during an outage was not crashed by the entry.
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
    const failed = Number((await retry(() => redis.hget(key, entry.id), options)) ?? 0);
    await retry(() => redis.hset(key, entry.id, failed + 1), options);
    const timer = setTimeout(() => void clear(entry.id), maxWorkMs);
    try {
      if (failed >= maxFailedAttempts) await steps.reject(entry, failed);
      else await steps.process(entry, () => void clear(entry.id));
    } finally {
      clearTimeout(timer);
      await clear(entry.id);
    }
  }
}
