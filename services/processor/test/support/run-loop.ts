import { readConfig } from '@app/runtime/config';
import { closeRedis, connectRedis } from '@app/runtime/redis';
import { processorSettings } from '../../src/config.ts';
import type { AfterWrite } from '../../src/pipeline/after-write.ts';
import { StreamLoop } from '../../src/pipeline/stream-loop.ts';
import { DeviceStateCap } from '../../src/state/device-state-cap.ts';
import { observe, type Observed } from './observed.ts';
import { openClient } from './postgres-clients.ts';

export interface RunningLoop extends Observed, AsyncDisposable {
  readonly loop: StreamLoop;
  /** Settles as the loop does. */
  readonly ended: Promise<void>;
  readonly iterations: () => number;
  /** Stops it and waits for its end. */
  stop(): Promise<void>;
  abandon(reason: Error): void;
}

/** The loop of one stream in this process, with the test as its domain step. */
export function runLoop(options: {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly stream: string;
  readonly afterWrite?: AfterWrite;
  readonly env?: Readonly<Record<string, string>>;
  readonly permanentErrorLimitMs?: number;
  readonly statementTimeoutMs?: number;
}): RunningLoop {
  const seen = observe();
  const { stream, afterWrite = async () => undefined, statementTimeoutMs = 4000 } = options;
  const config = readConfig(processorSettings, {
    REDIS_URL: options.redisUrl,
    POSTGRES_URL: options.postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    BATCH_BLOCK_MS: '200',
    CLAIM_IDLE_MS: '60000',
    CLAIM_INTERVAL_MS: '100',
    // Ten years: the records of tests have fixed times.
    PAST_LIMIT_MS: '315360000000',
    ...options.env,
  });
  const redis = connectRedis(options.redisUrl, { name: 'commands', log: seen.log });
  const connection = openClient(options.postgresUrl, seen.log, { statementTimeoutMs });
  let iterations = 0;
  const loop = new StreamLoop({
    stream,
    config,
    redis,
    postgres: connection.client,
    afterWrite,
    deviceStateCap: new DeviceStateCap(config.DEVICE_STATE_CAP, seen.metrics),
    onProgress: () => {
      iterations += 1;
    },
    permanentErrorLimitMs: options.permanentErrorLimitMs,
    metrics: seen.metrics,
    log: seen.log,
  });
  const stopping = new AbortController();
  const abandoning = new AbortController();
  const ended = loop.run(stopping.signal, abandoning.signal);
  // A failure that no test awaits must not end the test run.
  ended.catch(() => undefined);
  return {
    ...seen,
    loop,
    ended,
    iterations: () => iterations,
    stop: () => {
      stopping.abort();
      return ended;
    },
    abandon: (reason) => abandoning.abort(reason),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      abandoning.abort(new Error('the test is over'));
      await ended.catch(() => undefined);
      await closeRedis(redis);
      await connection[Symbol.asyncDispose]();
    },
  };
}
