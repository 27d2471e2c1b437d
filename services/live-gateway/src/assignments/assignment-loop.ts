import { delay, fullJitterMs } from '@app/runtime/retry';
import type { Assignments } from './assignments.ts';

const maxBackoffMs = 15_000;

/**
 * Keeps the assignments current until the signal: load, apply, compare the latest fixes with Postgres, wait.
 *
 * A failing database changes nothing: the last good map stays in force, and the next attempt comes with a backoff that
 * never exceeds the refresh interval. Rejects with the signal's reason.
 */
export async function runAssignmentLoop(options: {
  readonly load: () => Promise<Assignments>;
  readonly apply: (assignments: Assignments) => Promise<void>;
  /** Compares the latest fixes of all assigned devices with Postgres; rejects only if Postgres fails. */
  readonly hydrate: (assignments: Assignments) => Promise<void>;
  /** Called once a turn: with the error, or without one when it went well. */
  readonly onTurn: (error?: unknown) => void;
  readonly refreshMs: number;
  readonly signal: AbortSignal;
}): Promise<never> {
  const { load, apply, hydrate, onTurn, refreshMs, signal } = options;
  const backoff = { initialDelayMs: 250, maxDelayMs: Math.min(refreshMs, maxBackoffMs) };
  let failedTurns = 0;
  for (;;) {
    const error = await failureOf(async () => {
      const assignments = await load();
      await apply(assignments);
      await hydrate(assignments);
    });
    signal.throwIfAborted();
    failedTurns = error === undefined ? 0 : failedTurns + 1;
    onTurn(error);
    await delay(failedTurns === 0 ? refreshMs : fullJitterMs(failedTurns, backoff), signal);
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
