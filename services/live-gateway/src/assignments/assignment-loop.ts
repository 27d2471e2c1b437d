import { delay, fullJitterMs } from '@app/runtime/retry';
import type { Assignments } from './assignments.ts';

const maxBackoffMs = 15_000;

/**
 * Refreshes the assignments until the signal: load, apply, compare the latest fixes with Postgres, wait.
 *
 * When Postgres fails the last assignments stay in force, and the next attempt follows after a backoff that never
 * exceeds the refresh interval. Rejects with the signal's reason.
 */
export async function runAssignmentLoop(options: {
  readonly load: () => Promise<Assignments>;
  readonly apply: (assignments: Assignments) => Promise<void>;
  /** Compares the latest fixes of all assigned devices with Postgres; rejects only if Postgres fails. */
  readonly hydrate: (assignments: Assignments) => Promise<void>;
  /** Called after each iteration, with the error if it failed. */
  readonly onIteration: (error?: unknown) => void;
  readonly refreshMs: number;
  readonly signal: AbortSignal;
}): Promise<never> {
  const { load, apply, hydrate, onIteration, refreshMs, signal } = options;
  const backoff = { initialDelayMs: 250, maxDelayMs: Math.min(refreshMs, maxBackoffMs) };
  let failures = 0;
  for (;;) {
    const error = await failureOf(async () => {
      const assignments = await load();
      await apply(assignments);
      await hydrate(assignments);
    });
    signal.throwIfAborted();
    failures = error === undefined ? 0 : failures + 1;
    onIteration(error);
    await delay(failures === 0 ? refreshMs : fullJitterMs(failures, backoff), signal);
  }
}

async function failureOf(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}
