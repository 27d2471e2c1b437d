import type { LatestFixes } from './latest-fixes.ts';
import type { NewestFixQuery, NewestFixResult } from './read-newest-fixes.ts';

/** Devices whose latest fix a comparison with Postgres has changed, by IMEI. */
export interface Hydration {
  /** Postgres has a newer fix. */
  readonly moved: readonly string[];
  /** The fix was marked faulty or is too old: the device has an older fix now, or none. */
  readonly retracted: readonly string[];
}

/**
 * Compares the latest fixes of the given devices with Postgres: adds fixes that this process has not read from the
 * stream, retracts those that an operator has marked faulty, and removes those that are too old.
 *
 * Rejects if the query fails, and leaves `latest` unchanged.
 */
export async function hydrateLatest(
  latest: LatestFixes,
  deviceIds: readonly string[],
  options: {
    readonly readNewest: (queries: readonly NewestFixQuery[]) => Promise<readonly NewestFixResult[]>;
    /** Calls `hydrate` between two ticks and marks what it has changed for the subscriptions. */
    readonly applyHydration: (hydrate: () => Hydration) => Promise<void>;
    readonly nowMs: () => number;
  },
): Promise<void> {
  const results = await options.readNewest(
    deviceIds.map((deviceId) => ({ deviceId, heldFixAtMs: latest.hold(deviceId).fix?.fixAtMs })),
  );
  await options.applyHydration(() => {
    const moved: string[] = [];
    const retracted: string[] = [];
    for (const { deviceId, newest, heldFaultyFixAtMs, faultyFixAtMs } of results) {
      latest.noteFaulty(deviceId, faultyFixAtMs);
      if (heldFaultyFixAtMs !== undefined && latest.retract(deviceId, heldFaultyFixAtMs, newest)) {
        retracted.push(deviceId);
      } else if (newest !== undefined && latest.offer(newest)) {
        moved.push(deviceId);
      }
    }
    latest.markHydrated(deviceIds);
    return { moved, retracted: [...retracted, ...latest.expire(options.nowMs())] };
  });
}
