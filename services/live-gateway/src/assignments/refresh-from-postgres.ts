import type { PostgresClient } from '@app/runtime/postgres-client';
import type { FanOut } from '../fanout/fan-out.ts';
import { hydrateLatest } from '../latest/hydrate-latest.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { readNewestFixes } from '../latest/read-newest-fixes.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import { runAssignmentLoop } from './assignment-loop.ts';
import { loadAssignments } from './load-assignments.ts';
import type { UnassignedDevices } from './unassigned-devices.ts';

/**
 * Refreshes the assignments and the latest fixes of the assigned devices until the signal, and marks what has changed
 * for the subscriptions. Rejects with the signal's reason.
 */
export async function refreshFromPostgres(
  postgres: PostgresClient,
  state: {
    readonly latest: LatestFixes;
    readonly registry: SubscriptionRegistry;
    readonly fanOut: FanOut;
    readonly unassigned: UnassignedDevices;
  },
  options: {
    /** How far back Postgres is searched for a device's newest fix. */
    readonly lookbackMs: number;
    readonly refreshMs: number;
    readonly nowMs: () => number;
    readonly onAssigned: () => void;
    /** The latest fixes have been queried, perhaps without success: subscriptions are then answered `degraded`. */
    readonly onHydrated: () => void;
    readonly onIteration: (error?: unknown) => void;
    readonly signal: AbortSignal;
  },
): Promise<never> {
  const { latest, registry, fanOut, unassigned } = state;
  const { lookbackMs, nowMs } = options;
  return runAssignmentLoop({
    load: () => postgres.run(loadAssignments, 'assignment query'),
    apply: async (assignments) => {
      await fanOut.betweenTicks(() => registry.reassign(assignments, nowMs()));
      const isAssigned = (imei: string): boolean => assignments.eventsByImei.has(imei);
      latest.keepOnly(isAssigned);
      unassigned.forget(isAssigned);
      options.onAssigned();
    },
    hydrate: async ({ eventsByImei }) => {
      try {
        await hydrateLatest(latest, [...eventsByImei.keys()], {
          readNewest: (queries) =>
            postgres.run((sql) => readNewestFixes(sql, queries, lookbackMs), 'latest-fix query'),
          applyHydration: (hydrate) =>
            fanOut.betweenTicks(() => {
              const { moved, retracted } = hydrate();
              for (const imei of moved) registry.markChanged(imei);
              registry.markReset(retracted);
            }),
          nowMs,
        });
      } finally {
        options.onHydrated();
      }
    },
    onIteration: options.onIteration,
    refreshMs: options.refreshMs,
    signal: options.signal,
  });
}
