import type { LatestFixes } from './latest-fixes.ts';
import type { NewestFixAnswer, NewestFixQuestion } from './read-newest-fixes.ts';

/** What a comparison with Postgres has changed; IMEIs. */
export interface Hydration {
  /** A newer fix than the one held was found: its marker moves forward. */
  readonly moved: readonly string[];
  /** The fix held was found faulty, or is too old to be shown: its marker goes back, or away. */
  readonly retracted: readonly string[];
}

/**
 * Compares `latest` with Postgres for all given devices: fills what the stream has not brought (a device assigned
 * later, a fix from before this process), takes back what an operator has marked faulty, gives up what is too old.
 *
 * Rejects if Postgres fails; `latest` is then as it was.
 */
export async function hydrateLatest(
  latest: LatestFixes,
  deviceIds: readonly string[],
  options: {
    readonly readNewest: (questions: readonly NewestFixQuestion[]) => Promise<readonly NewestFixAnswer[]>;
    /** Takes in the answers and tells what has changed, in one go and between two ticks. */
    readonly settle: (take: () => Hydration) => Promise<void>;
    readonly nowMs: () => number;
  },
): Promise<void> {
  const answers = await options.readNewest(
    deviceIds.map((deviceId) => ({ deviceId, heldFixAtMs: latest.hold(deviceId).fix?.fixAtMs })),
  );
  await options.settle(() => {
    const moved: string[] = [];
    const retracted: string[] = [];
    for (const { deviceId, newest, heldFaultyAtMs, faultyAtMs } of answers) {
      latest.noteFaulty(deviceId, faultyAtMs);
      if (heldFaultyAtMs !== undefined && latest.retract(deviceId, heldFaultyAtMs, newest)) {
        retracted.push(deviceId);
      } else if (newest !== undefined && latest.offer(newest)) {
        moved.push(deviceId);
      }
    }
    latest.markHydrated(deviceIds);
    return { moved, retracted: [...retracted, ...latest.expire(options.nowMs())] };
  });
}
