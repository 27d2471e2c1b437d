import { registerBuildInfo } from '@app/runtime/build-info';
import { ClockMonitor } from '@app/runtime/clock-monitor';
import { withDeadline } from '@app/runtime/deadline';
import { startOpsServer } from '@app/runtime/ops-server';
import { connectPostgres, createPostgresHealthCheck, waitForPostgres } from '@app/runtime/postgres';
import { PostgresClient } from '@app/runtime/postgres-client';
import type { PostgresLink } from '@app/runtime/postgres-link';
import { closeRedis, connectRedis, waitForRedis } from '@app/runtime/redis';
import { runService } from '@app/runtime/run-service';
import { startTracing } from '@app/runtime/tracing';
import { entryArrivedAtMs } from '@app/shared/entry';
import { Registry } from 'prom-client';
import { processorSettings } from './config.ts';
import { ConsumerLagSampler } from './stream/consumer-lag.ts';
import { LoopProgress, progressLimitMs } from './pipeline/loop-progress.ts';
import { StreamLoop } from './pipeline/stream-loop.ts';
import { createStoredFixesStep } from './domain/append-stored-fixes.ts';
import { readStoredUntil } from './domain/evaluator/stored-until.ts';
import { runEvaluator } from './domain/evaluator/run-evaluator.ts';
import { createRunningEventsLister } from './domain/list-running-events.ts';
import { logPanicButton } from './domain/log-panic-button.ts';
import { RunningDevices } from './domain/running-devices.ts';
import { createMetrics } from './metrics.ts';
import { DeviceStateCap } from './state/device-state-cap.ts';

/** Time after the drain to close connections. The pod's grace period must exceed both together by 5 s. */
const closingMs = 5000;
const lagSampleIntervalMs = 2000;
const probeTimeoutMs = 2000;
const startupProgressIntervalMs = 1000;
const evaluatorConnections = 2;
const evaluatorStopMs = 1000;
/** Of our own deadline, below it: an abandoned statement must not hold locks against its own retry. */
const statementTimeoutShare = 0.8;

await runService({
  service: 'processor',
  schema: processorSettings,
  instanceId: (config) => config.INSTANCE_ID,
  graceMs: (config) => config.DRAIN_TIMEOUT_MS + closingMs,
  async run({ config, log, stop }) {
    const registry = new Registry();
    registerBuildInfo(registry, 'processor', config.INSTANCE_ID);
    const metrics = createMetrics(registry);
    const streams = config.REDIS_TELEMETRY_STREAM;
    const progress = new LoopProgress(
      streams,
      progressLimitMs(config.BATCH_BLOCK_MS, config.WRITE_TIMEOUT_MS),
    );

    // Closed last: until the end it answers that the process is stopping.
    await using serving = new AsyncDisposableStack();
    await using cleanup = new AsyncDisposableStack();
    const { trace } = cleanup.use(
      await startTracing({
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: config.TRACE_SAMPLE_RATIO,
        service: 'processor',
        instanceId: config.INSTANCE_ID,
        log,
      }),
    );
    const redis = cleanup.adopt(
      connectRedis(config.REDIS_URL, { name: `${config.INSTANCE_ID}:commands`, log }),
      closeRedis,
    );
    const openPostgres = (name: string, maxConnections: number, deadlineMs: number): PostgresClient => {
      const statementTimeoutMs = Math.ceil(deadlineMs * statementTimeoutShare);
      const connect = (link: PostgresLink) =>
        connectPostgres(config.POSTGRES_URL, { name, log, maxConnections, statementTimeoutMs, link });
      return cleanup.use(new PostgresClient(connect, deadlineMs));
    };
    const writeConnections = config.WRITE_CONCURRENCY * streams.length + 1;
    const postgres = openPostgres(config.INSTANCE_ID, writeConnections, config.WRITE_TIMEOUT_MS);
    const probe = openPostgres(`${config.INSTANCE_ID}:health`, 1, probeTimeoutMs);
    const ping = () => probe.run((sql) => sql.unsafe('select 1'), 'SELECT 1 to Postgres');
    const health = cleanup.use(createPostgresHealthCheck({ ping, signal: stop, log }));
    // Connections of its own: results must not wait for fixes, nor fixes for results.
    const evaluatorName = `${config.INSTANCE_ID}:evaluator`;
    const evaluatorPostgres = openPostgres(evaluatorName, evaluatorConnections, config.WRITE_TIMEOUT_MS);
    const evaluatorRedis = cleanup.adopt(
      connectRedis(config.REDIS_URL, { name: evaluatorName, log }),
      closeRedis,
    );

    const clocks = cleanup.use(
      new ClockMonitor({
        service: 'processor',
        redis,
        runSql: (query) => probe.run(query, 'clock query'),
        nowMs: () => Date.now(),
        onSkew: (clock, skewSeconds) => metrics.clockSkew.set({ clock }, skewSeconds),
        log,
      }),
    );

    const listEvents = createRunningEventsLister(log);
    const runningDevices = cleanup.use(new RunningDevices(evaluatorPostgres, listEvents, log));
    const announceStored = createStoredFixesStep({ redis, postgres, devices: runningDevices, metrics, log });
    const deviceStateCap = new DeviceStateCap(config.DEVICE_STATE_CAP, metrics);
    const loops = streams.map(
      (stream) =>
        new StreamLoop({
          stream,
          config,
          redis,
          postgres,
          async afterWrite(transitions, context) {
            await logPanicButton(transitions, log);
            await announceStored(transitions, context);
          },
          arrivedAtMs: (entryId) => clocks.arrivedAtMs(entryArrivedAtMs(entryId)),
          measureClocks: () => clocks.measure(),
          deviceStateCap,
          onProgress: () => progress.noteProgress(stream),
          trace,
          metrics,
          log,
        }),
    );
    let sampler: ConsumerLagSampler | undefined;
    const ops = serving.use(
      await startOpsServer({
        host: config.METRICS_HOST,
        port: config.METRICS_PORT,
        registry,
        isAlive: () => progress.status(),
        isReady: () => {
          if (stop.aborted) return { ok: false, reason: 'stopping' };
          if (redis.status !== 'ready') return { ok: false, reason: 'Redis is not ready' };
          if (!health.isReady()) return { ok: false, reason: 'Postgres does not answer' };
          const retryReason = loops.find((loop) => loop.retryReason !== undefined)?.retryReason;
          if (retryReason !== undefined) {
            return { ok: false, reason: `a batch waits for Postgres (${retryReason})` };
          }
          const reason = loops.find((loop) => loop.deadLetterWaitReason !== undefined)?.deadLetterWaitReason;
          if (reason !== undefined) return { ok: false, reason };
          const [readFailure] = loops.flatMap((loop) => loop.readFailure ?? []);
          if (readFailure !== undefined) return { ok: false, reason: readFailure };
          if (sampler?.reason !== undefined) return { ok: false, reason: sampler.reason };
          return { ok: true };
        },
        log,
      }),
    );
    log.info({ metricsPort: ops.port }, 'ops listening');
    const startupProgress = setInterval(
      () => streams.forEach((stream) => progress.noteProgress(stream)),
      startupProgressIntervalMs,
    );
    try {
      await Promise.all([
        waitForRedis(redis, { signal: stop }),
        waitForPostgres(() => postgres.run((sql) => sql.unsafe('select 1')), { signal: stop, log }),
      ]);
    } finally {
      clearInterval(startupProgress);
    }
    await clocks.start();
    await runningDevices.start();
    sampler = cleanup.use(
      new ConsumerLagSampler({
        redis,
        streams,
        group: config.REDIS_CONSUMER_GROUP,
        intervalMs: lagSampleIntervalMs,
        maxDeadLetters: config.DLQ_MAX_LENGTH,
        metrics,
        log,
      }),
    );

    const abandoning = new AbortController();
    stop.addEventListener('abort', () => {
      setTimeout(() => {
        abandoning.abort(
          new Error(
            `shutdown timed out after ${config.DRAIN_TIMEOUT_MS} ms; unacknowledged entries stay pending`,
          ),
        );
      }, config.DRAIN_TIMEOUT_MS).unref();
    });
    const evaluating = new AbortController();
    const evaluated = runEvaluator(
      {
        redis: evaluatorRedis,
        postgres: evaluatorPostgres,
        storedUntilMs: () => readStoredUntil(evaluatorRedis, streams, config.REDIS_CONSUMER_GROUP),
        eventIds: config.EVALUATE_EVENTS,
        holder: config.INSTANCE_ID,
        listEvents,
        metrics,
        log,
      },
      AbortSignal.any([stop, evaluating.signal]),
    );
    cleanup.defer(async () => {
      evaluating.abort();
      // A statement in flight is not waited for: what it has not written, the next evaluator does.
      await withDeadline(evaluated, evaluatorStopMs, 'stopping the evaluator').catch(() => undefined);
    });
    await Promise.all(loops.map((loop) => loop.run(stop, abandoning.signal)));
  },
});
