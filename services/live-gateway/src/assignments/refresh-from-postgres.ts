import type { PostgresClient } from '@app/runtime/postgres-client';
import { hydrateLatest } from '../latest/hydrate-latest.ts';
import type { Hydration } from '../latest/hydrate-latest.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { readNewestFixes } from '../latest/read-newest-fixes.ts';
import type { Assignments } from './assignments.ts';
import { runAssignmentLoop } from './assignment-loop.ts';
import { loadAssignments } from './load-assignments.ts';
import type { UnassignedDevices } from './unassigned-devices.ts';

/**
 * Keeps what is read from Postgres current until the signal: the assignments, and with them the latest fixes of the
 * assigned devices. What has changed is marked for those who watch. Rejects with the signal's reason.
 */
export async function refreshFromPostgres(options: {
  readonly postgres: PostgresClient;
  readonly latest: LatestFixes;
  readonly orphans: UnassignedDevices;
  /** Puts new assignments in force, between two ticks. */
  readonly reassign: (assignments: Assignments) => Promise<void>;
  /** Takes in what Postgres says of the latest fixes and marks it for those who watch, between two ticks. */
  readonly settle: (take: () => Hydration) => Promise<void>;
  readonly nowMs: () => number;
  /** How far back a last fix is looked for. */
  readonly lookbackMs: number;
  readonly refreshMs: number;
  readonly signal: AbortSignal;
  readonly onAssigned: () => void;
  /** Postgres has been asked for the latest fixes, in vain perhaps: then subscriptions are answered `degraded`. */
  readonly onHydrated: () => void;
  readonly onTurn: (error?: unknown) => void;
}): Promise<never> {
  const { postgres, latest, orphans, lookbackMs } = options;
  return runAssignmentLoop({
    load: () => postgres.run(loadAssignments, 'reading the assignments'),
    apply: async (assignments) => {
      await options.reassign(assignments);
      const isAssigned = (imei: string): boolean => assignments.eventsByImei.has(imei);
      latest.keepOnly(isAssigned);
      orphans.forget(isAssigned);
      options.onAssigned();
    },
    hydrate: async ({ eventsByImei }) => {
      try {
        await hydrateLatest(latest, [...eventsByImei.keys()], {
          readNewest: (questions) =>
            postgres.run((sql) => readNewestFixes(sql, questions, lookbackMs), 'reading the latest fixes'),
          settle: options.settle,
          nowMs: options.nowMs,
        });
      } finally {
        options.onHydrated();
      }
    },
    onTurn: options.onTurn,
    refreshMs: options.refreshMs,
    signal: options.signal,
  });
}
