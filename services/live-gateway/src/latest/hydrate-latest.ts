import type { LatestFixes } from './latest-fixes.ts';
import type { NewestFixAnswer, NewestFixQuestion } from './read-newest-fixes.ts';

/** What a comparison with Postgres has changed; IMEIs. */
export interface Hydration {
  /** A newer fix than the one held was found: its marker moves forward. */
  readonly moved: readonly string[];
  /** The fix held was found faulty: its marker goes back, or away. */
  readonly retracted: readonly string[];
}

/**
 * Compares `latest` with Postgres for all given devices: fills what the stream has not brought (a device assigned
 * later, a fix from before this process), and takes back what an operator has marked faulty.
 * Rejects if Postgres fails; `latest` is then as it was.
 */
export async function hydrateLatest(
  latest: LatestFixes,
  deviceIds: readonly string[],
  readNewest: (questions: readonly NewestFixQuestion[]) => Promise<readonly NewestFixAnswer[]>,
): Promise<Hydration> {
  const answers = await readNewest(
    deviceIds.map((deviceId) => ({ deviceId, heldFixAtMs: latest.get(deviceId)?.fixAtMs })),
  );
  // From here on nothing waits: the stream cannot come between an answer and what is made of it.
  const moved: string[] = [];
  const retracted: string[] = [];
  for (const { deviceId, newest, faultyFixAtMs } of answers) {
    if (faultyFixAtMs !== undefined && latest.retract(deviceId, faultyFixAtMs, newest)) {
      retracted.push(deviceId);
    } else if (newest !== undefined && latest.offer(newest)) {
      moved.push(deviceId);
    }
  }
  latest.markHydrated(deviceIds);
  return { moved, retracted };
}
