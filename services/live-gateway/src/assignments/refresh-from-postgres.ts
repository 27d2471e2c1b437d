import type { PostgresClient } from '@app/runtime/postgres-client';
import { delay, fullJitterMs } from '@app/runtime/retry';
import type { FanOut } from '../fanout/fan-out.ts';
import { hydrateLatest } from '../latest/hydrate-latest.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { readNewestFixes } from '../latest/read-newest-fixes.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import { loadAssignments } from './load-assignments.ts';
import type { UnassignedDevices } from './unassigned-devices.ts';

interface RefreshState {
  readonly latest: LatestFixes;
  readonly registry: SubscriptionRegistry;
  readonly fanOut: FanOut;
  readonly unassigned: UnassignedDevices;
}

interface RefreshOptions {
  /** How far back Postgres is searched for a device's newest fix. */
  readonly lookbackMs: number;
  readonly refreshMs: number;
  readonly nowMs: () => number;
  /** Called with the tables whose `status` is not readable, so that archived rows are not left out. */
  readonly onAssigned: (unreadableStatus: readonly string[]) => void;
  /** The latest fixes have been queried, perhaps without success: subscriptions are then answered `degraded`. */
  readonly onHydrated: () => void;
  /** Called after each iteration, with the error if it failed. */
  readonly onIteration: (error?: unknown) => void;
  readonly signal: AbortSignal;
}

const maxBackoffMs = 15_000;

/**
 * Refreshes the assignments and the latest fixes of the assigned devices until the signal, and marks what has changed
 * for the subscriptions. Rejects with the signal's reason.
 *
 * When Postgres fails the last assignments stay in force, and the next attempt follows after a backoff that never
 * exceeds the refresh interval.
 */
export async function refreshFromPostgres(
  postgres: PostgresClient,
  state: RefreshState,
  options: RefreshOptions,
): Promise<never> {
  const { refreshMs, onIteration, signal } = options;
  const backoff = { initialDelayMs: 250, maxDelayMs: Math.min(refreshMs, maxBackoffMs) };
  let failures = 0;
  for (;;) {
    let error: unknown;
    try {
      await refresh(postgres, state, options);
      failures = 0;
    } catch (caught) {
      error = caught;
      failures += 1;
    }
    signal.throwIfAborted();
    onIteration(error);
    await delay(failures === 0 ? refreshMs : fullJitterMs(failures, backoff), signal);
  }
}

async function refresh(
  postgres: PostgresClient,
  { latest, registry, fanOut, unassigned }: RefreshState,
  { lookbackMs, nowMs, onAssigned, onHydrated }: RefreshOptions,
): Promise<void> {
  const { assignments, unreadableStatus } = await postgres.run(loadAssignments, 'assignment query');
  await fanOut.betweenTicks(() => registry.reassign(assignments, nowMs()));
  const isAssigned = (imei: string): boolean => assignments.eventsByImei.has(imei);
  latest.keepOnly(isAssigned);
  unassigned.forget(isAssigned);
  onAssigned(unreadableStatus);
  try {
    await hydrateLatest(latest, [...assignments.eventsByImei.keys()], {
      readNewest: (queries) =>
        readNewestFixes(
          (statement) => postgres.run(statement, 'latest-fix query'),
          queries,
          nowMs() - lookbackMs,
        ),
      applyHydration: (hydrate) =>
        fanOut.betweenTicks(() => {
          const { moved, retracted } = hydrate();
          for (const imei of moved) registry.markChanged(imei);
          registry.markReset(retracted);
        }),
      nowMs,
    });
  } finally {
    onHydrated();
  }
}
