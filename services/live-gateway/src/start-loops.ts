import type { ClockMonitor } from '@app/runtime/clock-monitor';
import { shortDeviceId } from '@app/runtime/log';
import type { Logger } from '@app/runtime/log';
import { connectRedis } from '@app/runtime/redis';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { TraceStep } from '@app/runtime/tracing';
import type { Redis } from 'ioredis';
import type { SuspendedUsers } from './access/suspended-users.ts';
import { refreshFromPostgres } from './assignments/refresh-from-postgres.ts';
import { UnassignedDevices } from './assignments/unassigned-devices.ts';
import { lagMarkerGroup } from './config.ts';
import type { GatewayConfig } from './config.ts';
import { runSweepLoop } from './connection/sweep-connections.ts';
import { feedStream } from './feed/feed-stream.ts';
import type { LagMarkers } from './feed/lag-markers.ts';
import { waitBeforeReadMs } from './feed/read-timing.ts';
import { monitorStreams } from './feed/monitor-streams.ts';
import type { StreamCursor, StreamInfo } from './feed/stream-cursor.ts';
import { createSyncEpoch } from './feed/sync-epoch.ts';
import type { GatewayState } from './gateway-state.ts';
import type { Metrics } from './metrics.ts';
import type { RunClock } from './run-clock.ts';
import { createOutageReport } from './report-outage.ts';
import { deliverResults } from './results/deliver-results.ts';
import type { ResultsReader } from './results/results-reader.ts';
import { readinessConditions } from './server/readiness.ts';
import type { Reauthorizer } from './subscriptions/reauthorizer.ts';

interface LoopContext {
  readonly config: GatewayConfig;
  readonly state: GatewayState;
  readonly resources: {
    readonly postgres: PostgresClient;
    readonly redis: Redis;
    readonly lagMarkers: LagMarkers;
    readonly resultsReader: ResultsReader;
  };
  readonly access: { readonly suspended: SuspendedUsers; readonly reauthorizer: Reauthorizer };
  readonly telemetry: {
    readonly metrics: Metrics;
    readonly trace: TraceStep | undefined;
    readonly log: Logger;
  };
  readonly clock: RunClock;
  readonly clocks: ClockMonitor;
  readonly signal: AbortSignal;
}

/**
 * Starts all loops: Postgres → assignments and latest fixes; stream → latest fixes → tick → sockets; results → sockets.
 *
 * @returns two promises that never resolve. `allLoops` rejects with the first failure of a loop, or with the signal's
 * reason; `monitorLoop` rejects once the lag-marker groups are no longer updated.
 */
export function startLoops(context: LoopContext): {
  readonly allLoops: Promise<unknown>;
  readonly monitorLoop: Promise<unknown>;
} {
  const { config, state, access, telemetry, signal } = context;
  const unassigned = new UnassignedDevices({
    count: () => telemetry.metrics.orphanRecords.inc(),
    report: (imei) => telemetry.log.info({ device: shortDeviceId(imei) }, 'fix from unassigned device'),
  });
  const assigned = Promise.withResolvers<void>();
  const refreshLoop = startRefresh(context, unassigned, assigned.resolve);
  // Reading starts after the first assignments: until then every device would count as unassigned.
  const feedLoops = assigned.promise.then(() => startFeeds(context, unassigned));
  const monitorLoop = startMonitor(context);
  const allLoops = Promise.all([
    refreshLoop,
    feedLoops,
    monitorLoop,
    state.fanOut.run(config.LIVE_TICK_MS, signal),
    startSweep(context),
    startSuspensionPoll(context),
    access.reauthorizer.run(signal),
    ...startResults(context),
  ]);
  return { allLoops, monitorLoop };
}

function startRefresh(
  { config, state, resources, telemetry, clocks, signal }: LoopContext,
  unassigned: UnassignedDevices,
  onAssigned: () => void,
): Promise<never> {
  const { readiness } = state;
  let hasWarned = false;
  return refreshFromPostgres(
    resources.postgres,
    { ...state, unassigned },
    {
      lookbackMs: Math.min(config.LIVE_HYDRATE_LOOKBACK_MS, config.LIVE_MAX_FIX_AGE_MS),
      refreshMs: config.LIVE_DEVICE_EVENT_REFRESH_MS,
      nowMs: () => clocks.nowMs(),
      onAssigned: (unreadableStatus) => {
        if (unreadableStatus.length > 0 && !hasWarned) {
          hasWarned = true;
          telemetry.log.warn(
            { tables: unreadableStatus },
            'column status is not readable, so archived rows are shown; run the migration job',
          );
        }
        readiness.fulfil(readinessConditions.assigned);
        onAssigned();
      },
      onHydrated: () => readiness.fulfil(readinessConditions.hydrated),
      onIteration: createOutageReport(telemetry.log, 'Postgres refresh'),
      signal,
    },
  );
}

async function startFeeds(context: LoopContext, unassigned: UnassignedDevices): Promise<void> {
  const { config, state, telemetry, clocks, signal } = context;
  const { latest, registry, fanOut, timeline, readiness, cursors } = state;
  const { metrics, trace, log } = telemetry;
  // `feedStream` logs a failure once per outage; the client would log each reconnect.
  const silentLog = log.child({}, { level: 'silent' });
  const name = `${lagMarkerGroup(config)}:read`;
  const options = {
    settings: {
      connect: () => connectRedis(config.REDIS_URL, { name, log: silentLog, blocking: true }),
      batchSize: config.LIVE_BROADCAST_BATCH_SIZE,
      blockMs: config.LIVE_BROADCAST_BATCH_BLOCK_MS,
      warmWindowMs: config.LIVE_WARM_WINDOW_MS,
      waitBeforeReadMs: (appliedMs: number) =>
        waitBeforeReadMs(fanOut.untilTickMs, config.LIVE_TICK_MS, appliedMs),
    },
    target: { latest, registry, unassigned, clocks, futureFlagMs: config.FUTURE_FLAG_MS },
    trace,
    log,
    onApplied: (result: string) => metrics.streamEntries.inc({ result }),
    onMoved: ({ stream, isCaughtUp }: StreamCursor) => {
      timeline.noteProgress();
      if (isCaughtUp) readiness.fulfil(readinessConditions.caughtUp(stream));
    },
    onRewound: (cursor: StreamCursor, info: StreamInfo) => handleRewind(cursor, info, context),
  };
  await Promise.all(cursors.map((cursor, number) => feedStream(cursor, number, options, signal)));
}

function startMonitor(context: LoopContext): Promise<never> {
  const { state, resources, telemetry, clocks, signal } = context;
  const { redis, lagMarkers } = resources;
  const { metrics, log } = telemetry;
  const { cursors, timeline, registry, fanOut } = state;
  const reportsByStream = new Map(
    cursors.map(({ stream }) => [stream, createOutageReport(log, 'stream monitoring', { stream })]),
  );
  return monitorStreams(
    cursors,
    {
      redis,
      syncEpoch: createSyncEpoch(redis, timeline, log),
      lagMarkers,
      onRewound: (cursor, info) => handleRewind(cursor, info, context),
      onNewEpoch: (stream) => {
        void fanOut.betweenTicks(() => registry.resync());
        log.info({ stream }, 'stream has a new epoch; resyncing clients');
      },
      onLag: (stream, lagSeconds) => metrics.streamLagSeconds.set({ stream }, lagSeconds),
      onIteration: (stream, error) => reportsByStream.get(stream)?.(error),
      clocks,
    },
    signal,
  );
}

/** After a rewind, cursors and the positions sent so far are invalid: a new epoch, and a snapshot for every client. */
function handleRewind(cursor: StreamCursor, info: StreamInfo, { state, telemetry }: LoopContext): void {
  const { timeline, fanOut, registry } = state;
  timeline.invalidateEpoch(cursor);
  timeline.noteProgress();
  void fanOut.betweenTicks(() => registry.resync());
  const { stream, appliedId } = cursor;
  telemetry.log.warn(
    { stream, length: info.length, fromId: appliedId },
    'stream rewound; resuming from its last entry',
  );
}

function startResults({
  state,
  resources,
  telemetry,
  clock,
  clocks,
  signal,
}: LoopContext): readonly Promise<never>[] {
  const { resultsReader } = resources;
  const delivery = {
    events: state.watchedResults,
    nowMs: () => clock.nowMs(),
    onDelivered: (revisedAtMs: number) =>
      telemetry.metrics.resultsLagSeconds.observe(Math.max(0, clocks.nowMs() - revisedAtMs) / 1000),
  };
  return [
    resultsReader.followAnnouncements(signal),
    resultsReader.pollRevisions(signal),
    deliverResults(delivery, signal),
  ];
}

function startSweep({ config, state, telemetry, clock, signal }: LoopContext): Promise<never> {
  return runSweepLoop({
    connections: () => state.clients.connections(),
    limits: {
      pingIntervalMs: config.LIVE_WS_PING_INTERVAL_MS,
      lagLimitMs: config.LIVE_LAG_LIMIT_MS,
      maxAgeMs: config.LIVE_MAX_CONNECTION_AGE_MS,
      heartbeatMs: config.LIVE_HEARTBEAT_MS,
    },
    nowMs: () => clock.nowMs(),
    onLagging: (connections) => telemetry.metrics.laggingConnections.set(connections),
    signal,
  });
}

function startSuspensionPoll({ config, state, access, telemetry, signal }: LoopContext): Promise<never> {
  return access.suspended.run({
    connectedUserIds: () => state.clients.userIds(),
    onSuspended: (userId) => state.clients.endSessionsOf(userId),
    onUnreadable: () =>
      telemetry.log.info('directus_users not readable; suspended users are rejected by Directus only'),
    onResult: createOutageReport(telemetry.log, 'suspended-user query to Postgres'),
    intervalMs: config.LIVE_SUSPENDED_POLL_MS,
    signal,
  });
}
