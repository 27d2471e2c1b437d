import { once } from 'node:events';
import { registerBuildInfo } from '@app/runtime/build-info';
import { startOpsServer } from '@app/runtime/ops-server';
import { connectPostgres } from '@app/runtime/postgres';
import { PostgresClient } from '@app/runtime/postgres-client';
import { closeRedis, connectRedis } from '@app/runtime/redis';
import { runService } from '@app/runtime/run-service';
import { startTracing } from '@app/runtime/tracing';
import { Registry as MetricsRegistry } from 'prom-client';
import { createAccess } from './access/create-access.ts';
import { SuspendedUsers } from './access/suspended-users.ts';
import { destroyLagMarkers } from './feed/lag-marker-group.ts';
import { newEpoch } from './feed/epoch.ts';
import { FanOut } from './fanout/fan-out.ts';
import { StreamCursor } from './feed/stream-cursor.ts';
import { Timeline } from './feed/timeline.ts';
import { gatewaySettings, instanceId } from './config.ts';
import { startLoops } from './start-loops.ts';
import { LatestFixes } from './latest/latest-fixes.ts';
import { createMetrics, meterDirectus, meterFanOut } from './metrics.ts';
import { startClientServer } from './start-client-server.ts';
import { drain } from './server/drain.ts';
import { checkProgress } from './server/check-progress.ts';
import { Readiness, readinessConditions } from './server/readiness.ts';
import { registerStateGauges } from './state-gauges.ts';
import { Clients } from './connection/clients.ts';
import { Reauthorizer } from './subscriptions/reauthorizer.ts';
import { SubscriptionRegistry } from './subscriptions/subscription-registry.ts';

const nowMs = (): number => Date.now();
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
    const metricsRegistry = new MetricsRegistry();
    registerBuildInfo(metricsRegistry, 'live-gateway');
    const metrics = createMetrics(metricsRegistry);
    const streams = config.REDIS_TELEMETRY_STREAM;
    const group = `${config.LIVE_BROADCAST_GROUP_PREFIX}-${instanceId(config)}`;

    // What is known, and who wants to know it.
    const latest = new LatestFixes(config.LIVE_MAX_FIX_AGE_MS);
    const clients = new Clients(config.LIVE_MAX_CONNECTIONS_PER_USER);
    const places = streams.map((stream) => new StreamCursor(stream));
    const timeline = new Timeline(places, () => newEpoch(nowMs()));
    const registry = new SubscriptionRegistry({
      latest,
      position: () => timeline.streamOffset,
      onConflated: (positions) => metrics.positionsConflated.inc(positions),
    });
    const fanOut = new FanOut({ registry, latest, meter: meterFanOut(metrics), nowMs });
    const readiness = new Readiness(
      [
        readinessConditions.assigned,
        readinessConditions.hydrated,
        ...streams.map(readinessConditions.caughtUp),
      ],
      () => log.info('ready'),
    );

    // Who may, and whether they still may.
    const access = createAccess({
      config,
      meter: (operation) => meterDirectus(metrics, operation),
      trace,
      nowMs,
    });
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

    registerStateGauges(metricsRegistry, { clients, registry, reauthorizer, readiness, places, nowMs });
    const loops = [
      { name: 'the tick', lastProgressAtMs: () => fanOut.tickedAtMs, limitMs: tickLimitMs },
      ...places.map((place) => ({
        name: `reading ${place.stream}`,
        lastProgressAtMs: () => place.turnedAtMs,
        limitMs: 3 * (config.LIVE_BROADCAST_BATCH_BLOCK_MS + 2_000 + 15_000),
      })),
    ];
    const ops = cleanup.use(
      await startOpsServer({
        host: config.METRICS_HOST,
        port: config.METRICS_PORT,
        registry: metricsRegistry,
        isAlive: () => checkProgress(loops, nowMs()),
        isReady: () => readiness.status(),
        log,
      }),
    );
    const known = { latest, clients, timeline, registry, readiness };
    const server = cleanup.use(
      await startClientServer({ ...known, config, access, suspended, metrics, nowMs }),
    );
    log.info({ wsPort: server.port, wsPath: config.LIVE_WS_PATH, metricsPort: ops.port }, 'listening');

    const postgres = cleanup.use(
      new PostgresClient(
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
    const redis = cleanup.adopt(connectRedis(config.REDIS_URL, { name: group, log }), closeRedis);
    const ending = new AbortController();
    const { turning, bookmarking } = startLoops({
      ...known,
      config,
      group,
      postgres,
      redis,
      places,
      fanOut,
      suspended,
      reauthorizer,
      metrics,
      trace,
      log,
      nowMs,
      signal: ending.signal,
    });
    await Promise.race([turning, stop.aborted ? undefined : once(stop, 'abort')]);

    // Nobody comes in any more, those who are there are served until they are sent away; then everything else ends.
    log.info({ connections: clients.size }, 'draining');
    const draining = drain({
      readiness,
      server,
      connections: () => clients.connections(),
      noticeMs: config.LIVE_WS_DRAIN_NOTICE_MS,
      windowMs: config.LIVE_WS_DRAIN_TIMEOUT_MS,
    });
    await Promise.race([turning, draining]);
    ending.abort();
    await Promise.allSettled([bookmarking]);
    await destroyLagMarkers(redis, group, streams).catch((error: unknown) =>
      log.warn({ error, group }, 'the bookmark stays behind, until another gateway finds it stale'),
    );
  },
});
