import { shortDeviceId } from '@app/runtime/log';
import type { Logger } from '@app/runtime/log';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { connectRedis } from '@app/runtime/redis';
import type { TraceStep } from '@app/runtime/tracing';
import type { Redis } from 'ioredis';
import { readSuspendedUsers } from './access/suspended-users.ts';
import type { SuspendedUsers } from './access/suspended-users.ts';
import { UnassignedDevices } from './assignments/unassigned-devices.ts';
import { refreshFromPostgres } from './assignments/refresh-from-postgres.ts';
import type { FanOut } from './fanout/fan-out.ts';
import type { StreamCursor } from './feed/stream-cursor.ts';
import { feedStreams } from './feed/feed-stream.ts';
import { runLagMarkerLoop } from './feed/lag-marker-loop.ts';
import { lingerMs } from './feed/linger.ts';
import type { Timeline } from './feed/timeline.ts';
import type { GatewayConfig } from './config.ts';
import { runSweepLoop as sweepConnectionsUntil } from './connection/sweep-connections.ts';
import type { LatestFixes } from './latest/latest-fixes.ts';
import type { Metrics } from './metrics.ts';
import { createOutageReport } from './report-outage.ts';
import { readinessConditions } from './server/readiness.ts';
import type { Readiness } from './server/readiness.ts';
import type { Clients } from './connection/clients.ts';
import type { Reauthorizer } from './subscriptions/reauthorizer.ts';
import type { SubscriptionRegistry } from './subscriptions/subscription-registry.ts';

interface TurningParts {
  readonly config: GatewayConfig;
  /** The name of the bookmark, and of the connections. */
  readonly group: string;
  readonly postgres: PostgresClient;
  readonly redis: Redis;
  readonly latest: LatestFixes;
  readonly places: readonly StreamCursor[];
  readonly timeline: Timeline;
  readonly registry: SubscriptionRegistry;
  readonly fanOut: FanOut;
  readonly clients: Clients;
  readonly suspended: SuspendedUsers;
  readonly reauthorizer: Reauthorizer;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly trace: TraceStep | undefined;
  readonly log: Logger;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

/**
 * What turns until the signal: Postgres → assignments and latest; stream → latest → tick → sockets.
 *
 * @returns two that never fulfil: `turning` rejects with the first failure of a part, or with the signal's reason;
 * `bookmarking` rejects once no bookmark is set any more.
 */
export function startLoops(parts: TurningParts): {
  readonly turning: Promise<unknown>;
  readonly bookmarking: Promise<unknown>;
} {
  const { config, fanOut, reauthorizer, metrics, log, signal } = parts;
  const orphans = new UnassignedDevices({
    count: () => metrics.orphanRecords.inc(),
    report: (imei) => log.info({ device: shortDeviceId(imei) }, 'a device that is in no event reports'),
  });
  const assigned = Promise.withResolvers<void>();
  const refreshing = runRefreshLoop(parts, orphans, assigned.resolve);
  // Before it is known who is in an event every record would be an orphan's.
  const feeding = assigned.promise.then(() => runFeedLoop(parts, orphans));
  const bookmarking = runStreamStateLoop(parts);
  const turning = Promise.all([
    refreshing,
    feeding,
    bookmarking,
    fanOut.run(config.LIVE_TICK_MS, signal),
    runSweepLoop(parts),
    runSuspensionLoop(parts),
    reauthorizer.run(signal),
  ]);
  return { turning, bookmarking };
}

async function runRefreshLoop(
  { config, postgres, latest, registry, fanOut, readiness, log, nowMs, signal }: TurningParts,
  orphans: UnassignedDevices,
  onAssigned: () => void,
): Promise<never> {
  return refreshFromPostgres({
    postgres,
    latest,
    orphans,
    reassign: async (assignments) => {
      await fanOut.betweenTicks(() => registry.reassign(assignments, nowMs()));
    },
    settle: (take) =>
      fanOut.betweenTicks(() => {
        const { moved, retracted } = take();
        for (const imei of moved) registry.markChanged(imei);
        registry.markReset(retracted);
      }),
    nowMs,
    lookbackMs: Math.min(config.LIVE_HYDRATE_LOOKBACK_MS, config.LIVE_MAX_FIX_AGE_MS),
    refreshMs: config.LIVE_DEVICE_EVENT_REFRESH_MS,
    signal,
    onAssigned: () => {
      readiness.fulfil(readinessConditions.assigned);
      onAssigned();
    },
    onHydrated: () => readiness.fulfil(readinessConditions.hydrated),
    onTurn: createOutageReport(log, 'reading assignments and latest fixes from Postgres'),
  });
}

async function runFeedLoop(parts: TurningParts, orphans: UnassignedDevices): Promise<void> {
  const { config, group, latest, registry, fanOut, timeline, readiness, metrics, log } = parts;
  // A reader gets a new client after each trouble, and reports the trouble itself.
  const quietLog = log.child({}, { level: 'silent' });
  await feedStreams(parts.places, {
    connect: () => connectRedis(config.REDIS_URL, { name: `${group}:read`, log: quietLog, blocking: true }),
    context: {
      latest,
      isAssigned: (imei) => registry.isAssigned(imei),
      markChanged: (imei) => registry.markChanged(imei),
      noteUnassigned: (imei) => orphans.note(imei),
      futureFlagMs: config.FUTURE_FLAG_MS,
    },
    batchSize: config.LIVE_BROADCAST_BATCH_SIZE,
    blockMs: config.LIVE_BROADCAST_BATCH_BLOCK_MS,
    lingerMs: (appliedMs) => lingerMs(fanOut.untilTickMs, config.LIVE_TICK_MS, appliedMs),
    warmWindowMs: config.LIVE_WARM_WINDOW_MS,
    signal: parts.signal,
    nowMs: parts.nowMs,
    trace: parts.trace,
    onApplied: (result) => metrics.streamEntries.inc({ result }),
    onMoved: () => timeline.noteProgress(),
    onWentBack: (place) => invalidate(place, parts),
    onCaughtUp: (stream) => readiness.fulfil(readinessConditions.caughtUp(stream)),
    log,
  });
}

async function runStreamStateLoop(parts: TurningParts): Promise<never> {
  const { config, group, redis, places, timeline, registry, fanOut, metrics, log, nowMs, signal } = parts;
  return runLagMarkerLoop({
    redis,
    places,
    group,
    groupPrefix: `${config.LIVE_BROADCAST_GROUP_PREFIX}-`,
    signal,
    nowMs,
    onLag: (stream, lagSeconds) => metrics.streamLagSeconds.set({ stream }, lagSeconds),
    onNotPermitted: () => log.info({ group }, 'keeps no bookmark: its Redis user may not XGROUP'),
    timeline,
    onWentBack: (place) => {
      invalidate(place, parts);
      log.warn({ stream: place.stream }, 'the stream has gone back: going on from its end');
    },
    onNoEpoch: () =>
      log.info('keeps no epoch: its Redis user may not, so no other gateway resumes its clients'),
    onEpoch: ({ stream }) => {
      void fanOut.betweenTicks(() => registry.resync());
      log.info({ stream }, 'the stream has a new epoch');
    },
    onStaleRemoved: (stream, groups) => log.info({ stream, groups }, 'removed stale bookmarks'),
    onTurn: createOutageReport(log, 'keeping the bookmark'),
  });
}

/** The gateway's own picture is in doubt, so are those of its clients: they get new ones. */
function invalidate(place: StreamCursor, { timeline, fanOut, registry }: TurningParts): void {
  timeline.invalidateEpoch(place);
  timeline.noteProgress();
  void fanOut.betweenTicks(() => registry.resync());
}

async function runSweepLoop({ config, clients, metrics, nowMs, signal }: TurningParts): Promise<never> {
  return sweepConnectionsUntil({
    connections: () => clients.connections(),
    limits: {
      pingIntervalMs: config.LIVE_WS_PING_INTERVAL_MS,
      lagLimitMs: config.LIVE_LAG_LIMIT_MS,
      maxAgeMs: config.LIVE_MAX_CONNECTION_AGE_MS,
      heartbeatMs: config.LIVE_HEARTBEAT_MS,
    },
    nowMs,
    onLagging: (connections) => metrics.laggingConnections.set(connections),
    signal,
  });
}

async function runSuspensionLoop(parts: TurningParts): Promise<never> {
  const { config, postgres, suspended, clients, log, signal } = parts;
  return suspended.run({
    read: (userIds) => postgres.run((sql) => readSuspendedUsers(sql, userIds), 'reading who is suspended'),
    connectedUserIds: () => clients.userIds(),
    onSuspended: (userId) => clients.endSessionsOf(userId),
    onUnreadable: () => log.info('directus_users cannot be read: Directus alone says who is suspended'),
    onResult: createOutageReport(log, 'reading from Postgres who is suspended'),
    intervalMs: config.LIVE_DEVICE_EVENT_REFRESH_MS,
    signal,
  });
}
