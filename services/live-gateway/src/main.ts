import { once } from 'node:events';
import { registerBuildInfo } from '@app/runtime/build-info';
import { shortDeviceId } from '@app/runtime/log';
import { startOpsServer } from '@app/runtime/ops-server';
import { connectPostgres } from '@app/runtime/postgres';
import { closeRedis, connectRedis } from '@app/runtime/redis';
import { runService } from '@app/runtime/run-service';
import { startTracing } from '@app/runtime/tracing';
import { Registry as MetricsRegistry } from 'prom-client';
import { createAccess } from './access/create-access.ts';
import { readSuspendedUsers, SuspendedUsers } from './access/suspended-users.ts';
import { Orphans } from './assignment/orphans.ts';
import { PostgresSource } from './assignment/postgres-source.ts';
import { refreshFromPostgres } from './assignment/refresh-from-postgres.ts';
import { destroyBookmarks } from './broadcast/bookmark.ts';
import { drawEpoch } from './broadcast/epoch.ts';
import { FanOut } from './broadcast/fan-out.ts';
import { FeedPlace } from './broadcast/feed-place.ts';
import { feedStreams } from './broadcast/feed-stream.ts';
import { keepBookmarks } from './broadcast/keep-bookmarks.ts';
import { lingerMs } from './broadcast/linger.ts';
import { Timeline } from './broadcast/timeline.ts';
import { gatewaySettings, instanceId } from './config.ts';
import { createSocketHandlers } from './connection/socket-handlers.ts';
import { keepSweeping } from './connection/sweep-connections.ts';
import { LatestFixes } from './latest/latest-fixes.ts';
import { createMetrics, meterDirectus, meterFanOut, meterTraffic } from './metrics.ts';
import { createOutageReport } from './report-outage.ts';
import { drain } from './server/drain.ts';
import { judgeProgress } from './server/progress.ts';
import { Readiness } from './server/readiness.ts';
import { startLiveServer } from './server/start-live-server.ts';
import { acceptClient } from './subscription/accept-client.ts';
import { Clients } from './subscription/clients.ts';
import { Reauthorizer } from './subscription/reauthorizer.ts';
import { Registry } from './subscription/registry.ts';
import type { ResumeOutcome } from './subscription/resume.ts';

const nowMs = (): number => Date.now();
const maxWaitingReplies = 64;
const postgresDeadlineMs = 15_000;
const tickLimitMs = 15_000;
// After the drain: the bookmark and the connections. The pod's grace period must be at least the sum.
const closingMs = 10_000;

await runService({
  service: 'live-gateway',
  schema: gatewaySettings,
  instanceId,
  graceMs: (config) => config.LIVE_WS_DRAIN_NOTICE_MS + config.LIVE_WS_DRAIN_TIMEOUT_MS + closingMs,
  async run({ config, log, stop }) {
    await using cleanup = new AsyncDisposableStack();
    const { trace } = cleanup.use(
      await startTracing({
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: config.TRACE_SAMPLE_RATIO,
        service: 'live-gateway',
        instanceId: instanceId(config),
        log,
      }),
    );
    const streams = config.REDIS_TELEMETRY_STREAM;
    const blockMs = config.LIVE_BROADCAST_BATCH_BLOCK_MS;
    const group = `${config.LIVE_BROADCAST_GROUP_PREFIX}-${instanceId(config)}`;

    // What is known, and who wants to know it.
    const latest = new LatestFixes(config.LIVE_MAX_FIX_AGE_MS);
    const clients = new Clients(config.LIVE_MAX_CONNECTIONS_PER_USER);
    const places = streams.map((stream) => new FeedPlace(stream));
    const timeline = new Timeline(places, () => drawEpoch(nowMs()));
    const registry = new Registry({
      latest,
      position: () => timeline.position,
      onConflated: (positions) => metrics.positionsConflated.inc(positions),
    });
    const toBeReady = {
      assigned: 'the assignments are loaded',
      hydrated: 'Postgres has been asked for the latest fixes',
      caughtUp: (stream: string) => `${stream} is caught up`,
    };
    const readiness = new Readiness(
      [toBeReady.assigned, toBeReady.hydrated, ...streams.map(toBeReady.caughtUp)],
      () => log.info('ready'),
    );
    const metricsRegistry = new MetricsRegistry();
    registerBuildInfo(metricsRegistry, 'live-gateway');
    const metrics = createMetrics(metricsRegistry, {
      connections: () => clients.size,
      subscriptions: () => registry.subscriptionCount,
      unconfirmedSubscriptions: () => reauthorizer.unconfirmed,
      drainRemaining: () => (readiness.isDraining ? clients.size : 0),
      assignmentAgeSeconds: () => (nowMs() - registry.assignedAtMs) / 1000,
      secondsSinceLastRecord: () =>
        new Map(places.map((place) => [place.stream, (nowMs() - place.lastRecordAtMs) / 1000])),
    });

    const fanOut = new FanOut({ registry, latest, meter: meterFanOut(metrics), nowMs });

    // Where clients come in, and what they can say.
    const meter = (operation: 'authenticate' | 'authorize') => meterDirectus(metrics, operation);
    const access = createAccess({ config, meter, trace, nowMs });
    const suspended = new SuspendedUsers();
    const reauthorizer = new Reauthorizer({
      clients: () => clients.all(),
      authorize: access.authorize,
      unregister: (subscription) => registry.unregister(subscription),
      onOutcome: (outcome) => metrics.reauthorizations.inc({ outcome }),
      intervalMs: config.REAUTHORIZE_INTERVAL_MS,
      graceMs: config.REAUTHORIZE_GRACE_MS,
      nowMs,
    });
    const limits = {
      maxSubscriptions: config.LIVE_MAX_SUBSCRIPTIONS,
      messageRatePerS: config.LIVE_MESSAGE_RATE_PER_S,
    };
    const messageContext = {
      authorize: access.authorize,
      registry,
      latest,
      timeline,
      tickMs: config.LIVE_TICK_MS,
      nowMs,
      onSnapshot: (positions: number) => {
        metrics.snapshotDevices.observe(positions);
        metrics.positionsSent.inc(positions);
      },
      onResume: (outcome: ResumeOutcome) => metrics.resumes.inc({ outcome }),
      onReceived: (type: string) => metrics.messagesReceived.inc({ type }),
    };
    const loops = [
      { name: 'the tick', turnedAtMs: () => fanOut.tickedAtMs, limitMs: tickLimitMs },
      ...places.map((place) => ({
        name: `reading ${place.stream}`,
        turnedAtMs: () => place.turnedAtMs,
        limitMs: 3 * (blockMs + 2_000 + 15_000),
      })),
    ];
    const ops = cleanup.use(
      await startOpsServer({
        host: config.METRICS_HOST,
        port: config.METRICS_PORT,
        registry: metricsRegistry,
        isAlive: () => judgeProgress(loops, nowMs()),
        isReady: () => readiness.verdict(),
        log,
      }),
    );
    const server = cleanup.use(
      await startLiveServer({
        config,
        authenticate: suspended.refuse(access.authenticate),
        handlers: createSocketHandlers({
          onOpen: (connection) => acceptClient(connection, clients, limits, messageContext),
          limits: {
            highWaterBytes: config.LIVE_HIGH_WATER_BYTES,
            unansweredBytes: config.LIVE_UNANSWERED_BYTES,
            maxWaitingReplies,
          },
          traffic: meterTraffic(metrics),
          nowMs,
        }),
        isDraining: () => readiness.isDraining,
        connectionCount: () => clients.size,
        onUpgrade: (result) => metrics.upgrades.inc({ result }),
      }),
    );
    log.info({ wsPort: server.port, wsPath: config.LIVE_WS_PATH, metricsPort: ops.port }, 'listening');

    // What turns until the drain is over: Postgres → assignments and latest; stream → latest → tick → sockets.
    const turning = new AbortController();
    const { signal } = turning;
    // A reader gets a new client after each trouble, and reports the trouble itself.
    const quietLog = log.child({}, { level: 'silent' });
    const orphans = new Orphans({
      count: () => metrics.orphanRecords.inc(),
      report: (imei) => log.info({ device: shortDeviceId(imei) }, 'a device that is in no event reports'),
    });
    const assigned = Promise.withResolvers<void>();
    const postgres = cleanup.use(
      new PostgresSource(
        () =>
          connectPostgres(config.POSTGRES_URL, {
            name: group,
            log,
            maxConnections: 2,
            statementTimeoutMs: Math.ceil(postgresDeadlineMs * 0.8),
          }),
        postgresDeadlineMs,
      ),
    );
    const refreshing = refreshFromPostgres({
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
        readiness.fulfil(toBeReady.assigned);
        assigned.resolve();
      },
      onHydrated: () => readiness.fulfil(toBeReady.hydrated),
      onTurn: createOutageReport(log, 'reading assignments and latest fixes from Postgres'),
    });
    // The gateway's own picture is in doubt, so are those of its clients: they get new ones.
    const doubt = (place: FeedPlace): void => {
      timeline.doubtEpoch(place);
      timeline.noteMoved();
      void fanOut.betweenTicks(() => registry.resync());
    };
    // Before it is known who is in an event every record would be an orphan's.
    const feeding = assigned.promise.then(() =>
      feedStreams(places, {
        connect: () =>
          connectRedis(config.REDIS_URL, { name: `${group}:read`, log: quietLog, blocking: true }),
        context: {
          latest,
          isAssigned: (imei) => registry.isAssigned(imei),
          markChanged: (imei) => registry.markChanged(imei),
          noteOrphan: (imei) => orphans.note(imei),
          futureFlagMs: config.FUTURE_FLAG_MS,
        },
        batchSize: config.LIVE_BROADCAST_BATCH_SIZE,
        blockMs,
        lingerMs: () => lingerMs(fanOut.untilTickMs, config.LIVE_TICK_MS),
        warmWindowMs: config.LIVE_WARM_WINDOW_MS,
        signal,
        nowMs,
        trace,
        onApplied: (result) => metrics.streamEntries.inc({ result }),
        onMoved: () => timeline.noteMoved(),
        onWentBack: doubt,
        onCaughtUp: (stream) => readiness.fulfil(toBeReady.caughtUp(stream)),
        log,
      }),
    );
    const redis = cleanup.adopt(connectRedis(config.REDIS_URL, { name: group, log }), closeRedis);
    const bookmarking = keepBookmarks({
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
        doubt(place);
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
    const ticking = fanOut.run(config.LIVE_TICK_MS, signal);
    const sweeping = keepSweeping({
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
    const watchingUsers = suspended.watch({
      read: (userIds) => postgres.ask('reading who is suspended', (sql) => readSuspendedUsers(sql, userIds)),
      connectedUserIds: () => clients.userIds(),
      onSuspended: (userId) => clients.endSessionsOf(userId),
      onUnreadable: () => log.info('directus_users cannot be read: Directus alone says who is suspended'),
      onTurn: createOutageReport(log, 'reading from Postgres who is suspended'),
      intervalMs: config.LIVE_DEVICE_EVENT_REFRESH_MS,
      signal,
    });
    const failing = Promise.all([
      refreshing,
      feeding,
      bookmarking,
      ticking,
      sweeping,
      watchingUsers,
      reauthorizer.run(signal),
    ]);
    await Promise.race([failing, stop.aborted ? undefined : once(stop, 'abort')]);

    // Nobody comes in any more, those who are there are served until they are sent away; then everything else ends.
    log.info({ connections: clients.size }, 'draining');
    const draining = drain({
      readiness,
      server,
      connections: () => clients.connections(),
      noticeMs: config.LIVE_WS_DRAIN_NOTICE_MS,
      windowMs: config.LIVE_WS_DRAIN_TIMEOUT_MS,
    });
    await Promise.race([failing, draining]);
    turning.abort();
    await Promise.allSettled([bookmarking]);
    await destroyBookmarks(redis, group, streams).catch((error: unknown) =>
      log.warn({ error, group }, 'the bookmark stays behind, until another gateway finds it stale'),
    );
  },
});
