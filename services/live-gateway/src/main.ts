import { once } from 'node:events';
import { registerBuildInfo } from '@app/runtime/build-info';
import { ClockMonitor } from '@app/runtime/clock-monitor';
import { startOpsServer } from '@app/runtime/ops-server';
import { connectPostgres } from '@app/runtime/postgres';
import { PostgresClient } from '@app/runtime/postgres-client';
import { closeRedis, connectRedis } from '@app/runtime/redis';
import { runService } from '@app/runtime/run-service';
import { startTracing } from '@app/runtime/tracing';
import { Registry as MetricsRegistry } from 'prom-client';
import { createAccess } from './access/create-access.ts';
import { SuspendedUsers, readSuspendedUsers } from './access/suspended-users.ts';
import { gatewaySettings, instanceId, lagMarkerGroup } from './config.ts';
import { createClientErrorReport } from './connection/client-errors.ts';
import { LagMarkers } from './feed/lag-markers.ts';
import { createGatewayState } from './gateway-state.ts';
import { meterDirectus, meterResults } from './meters.ts';
import { createMetrics } from './metrics.ts';
import { monitoredLoops } from './monitored-loops.ts';
import { ResultsReader } from './results/results-reader.ts';
import { drain } from './server/drain.ts';
import { RunClock } from './run-clock.ts';
import { checkProgress } from './server/check-progress.ts';
import { startClientServer } from './start-client-server.ts';
import { startLoops } from './start-loops.ts';
import { registerStateGauges } from './state-gauges.ts';
import { Reauthorizer } from './subscriptions/reauthorizer.ts';

const nowMs = (): number => Date.now();
const postgresDeadlineMs = 15_000;
/** Share of the deadline after which Postgres itself cancels a statement, so that the connection can be kept. */
const statementTimeoutShare = 0.8;
/** One for the assignments and latest fixes, one for suspended users and the clock. */
const postgresConnections = 2;
/** Time after the drain to delete the lag-marker groups and close connections. */
const closingMs = 10_000;

await runService({
  service: 'live-gateway',
  schema: gatewaySettings,
  instanceId,
  // The pod's grace period must be at least this long.
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
    const metricsRegistry = new MetricsRegistry();
    registerBuildInfo(metricsRegistry, 'live-gateway', instanceId(config));
    const metrics = createMetrics(metricsRegistry);
    const clock = cleanup.use(
      new RunClock((stoppedMs) =>
        log.warn(
          { stoppedMs: Math.round(stoppedMs) },
          'process did not run; deadlines of clients are extended',
        ),
      ),
    );
    const access = createAccess({
      config,
      meter: (operation) => meterDirectus(metrics, operation),
      trace,
      log,
      clock,
      nowMs,
    });
    const connectionName = lagMarkerGroup(config);
    const redis = cleanup.adopt(connectRedis(config.REDIS_URL, { name: connectionName, log }), closeRedis);
    const openPostgres = (maxConnections: number): PostgresClient =>
      new PostgresClient(
        (link) =>
          connectPostgres(config.POSTGRES_URL, {
            name: connectionName,
            log,
            maxConnections,
            statementTimeoutMs: Math.ceil(postgresDeadlineMs * statementTimeoutShare),
            link,
          }),
        postgresDeadlineMs,
      );
    const postgres = cleanup.use(openPostgres(postgresConnections));
    const clocks = cleanup.use(
      new ClockMonitor({
        service: 'live-gateway',
        redis,
        runSql: (query) => postgres.run(query, 'clock query'),
        nowMs,
        onSkew: (name, skewSeconds) => metrics.clockSkew.set({ clock: name }, skewSeconds),
        log,
      }),
    );
    const state = createGatewayState(config, metrics, log, () => clocks.nowMs());
    const { clients, readiness } = state;

    // Results have a connection of their own, and log their outages themselves: positions never wait for them.
    const resultsReader = new ResultsReader({
      events: state.watchedResults,
      redis,
      connect: () =>
        connectRedis(config.REDIS_URL, {
          name: `${connectionName}:results`,
          log: log.child({}, { level: 'silent' }),
          blocking: true,
        }),
      postgres: cleanup.use(openPostgres(1)),
      meter: meterResults(metrics),
      log,
      nowMs: () => clock.nowMs(),
    });
    const suspended = new SuspendedUsers({
      read: (userIds) => postgres.run((sql) => readSuspendedUsers(sql, userIds), 'suspended-user query'),
      onCheck: (outcome) => metrics.suspensionChecks.inc({ outcome }),
    });
    const reauthorizer = new Reauthorizer({
      clients: () => clients.all(),
      authorize: access.authorize,
      onOutcome: (outcome) => metrics.reauthorizations.inc({ outcome }),
      intervalMs: config.REAUTHORIZE_INTERVAL_MS,
      graceMs: config.REAUTHORIZE_GRACE_MS,
      nowMs,
      runClock: clock,
    });

    const onError = createClientErrorReport(
      log,
      (operation) => metrics.clientErrors.inc({ operation }),
      nowMs,
    );
    registerStateGauges(metricsRegistry, { ...state, reauthorizer, clocks });
    const loops = monitoredLoops(state, config);
    const ops = cleanup.use(
      await startOpsServer({
        host: config.METRICS_HOST,
        port: config.METRICS_PORT,
        registry: metricsRegistry,
        isAlive: () => checkProgress(loops, performance.now()),
        isReady: () => readiness.status(),
        log,
      }),
    );
    const server = cleanup.use(
      await startClientServer({
        config,
        state,
        access,
        suspended,
        reauthorizer,
        resultsReader,
        metrics,
        onError,
        clock,
        nowMs: () => clocks.nowMs(),
      }),
    );
    log.info({ wsPort: server.port, wsPath: config.LIVE_WS_PATH, metricsPort: ops.port }, 'listening');

    await clocks.start();
    const lagMarkers = new LagMarkers(redis, config.LIVE_BROADCAST_GROUP_PREFIX, instanceId(config), log);
    const stopLoops = new AbortController();
    const { allLoops, monitorLoop } = startLoops({
      config,
      state,
      resources: { postgres, redis, lagMarkers, resultsReader },
      access: { suspended, reauthorizer },
      telemetry: { metrics, trace, log },
      clock,
      clocks,
      signal: stopLoops.signal,
    });
    await Promise.race([allLoops, stop.aborted ? undefined : once(stop, 'abort')]);

    // The loops keep serving connected clients until the drain is over.
    log.info({ connections: clients.size }, 'draining');
    const drained = drain({
      readiness,
      server,
      connections: () => clients.connections(),
      noticeMs: config.LIVE_WS_DRAIN_NOTICE_MS,
      windowMs: config.LIVE_WS_DRAIN_TIMEOUT_MS,
      nowMs: () => clock.nowMs(),
    });
    await Promise.race([allLoops, drained]);
    stopLoops.abort();
    await Promise.allSettled([monitorLoop]);
    await lagMarkers
      .destroy(config.REDIS_TELEMETRY_STREAM)
      .catch((error: unknown) =>
        log.warn({ error }, 'deleting lag-marker groups failed; another gateway deletes them once stale'),
      );
  },
});
