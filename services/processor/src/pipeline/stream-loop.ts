import type { Logger } from '@app/runtime/log';
import type { TraceStep } from '@app/runtime/tracing';
import type { Redis } from 'ioredis';
import { consumerName, type ProcessorConfig } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import { EntryAcks } from '../stream/ack-entries.ts';
import { DeviceStates, selectLastFixes } from '../state/device-states.ts';
import { InFlight } from './in-flight.ts';
import { type AfterWrite, runPipeline } from './pipeline.ts';
import type { PostgresClient } from '../store/postgres-client.ts';
import { EntryReader } from '../stream/read-entries.ts';
import { FixWriter } from '../store/write-fixes.ts';

export interface StreamLoopOptions {
  readonly stream: string;
  readonly config: ProcessorConfig;
  readonly redis: Redis;
  readonly postgres: PostgresClient;
  readonly afterWrite: AfterWrite;
  /** Called at each turn of the loop; liveness is made of these. */
  readonly onProgress: () => void;
  readonly trace?: TraceStep | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Ten times what a full batch of real records weighs. */
const batchBytes = 8 * 1024 * 1024;

/** The loop of one stream, put together; nothing happens before `run`. */
export class StreamLoop {
  readonly #options: StreamLoopOptions;
  readonly #inFlight = new InFlight();
  readonly #acks: EntryAcks;
  readonly #writer: FixWriter;
  readonly #reader: EntryReader;

  constructor(options: StreamLoopOptions) {
    const { stream, config, redis, postgres, onProgress: onTurn, metrics, log } = options;
    const member = { stream, group: config.REDIS_CONSUMER_GROUP, consumer: consumerName(config) };
    this.#options = options;
    this.#acks = new EntryAcks(redis, member, metrics, log, onTurn);
    const concurrency = config.WRITE_CONCURRENCY;
    this.#writer = new FixWriter({ postgres, concurrency, metrics, log, onRetry: onTurn });
    this.#reader = new EntryReader({
      ...member,
      redisUrl: config.REDIS_URL,
      commands: redis,
      readCount: config.BATCH_SIZE,
      batchSize: config.WRITE_BATCH_SIZE,
      batchBytes,
      blockMs: config.BATCH_BLOCK_MS,
      lingerMs: config.WRITE_LINGER_MS,
      claimIdleMs: config.CLAIM_IDLE_MS,
      claimIntervalMs: config.CLAIM_INTERVAL_MS,
      consumerGoneMs: 60 * config.CLAIM_IDLE_MS,
      maxDeliveries: config.MAX_DELIVERIES,
      excludedIds: () => this.#inFlight.ids().union(this.#acks.unackedIds),
      onProgress: onTurn,
      metrics,
      log,
    });
  }

  /** A batch waits for Postgres: not ready. */
  get isRetrying(): boolean {
    return this.#writer.isRetrying;
  }

  /** See `runPipeline`. */
  async run(stop: AbortSignal, abandon: AbortSignal): Promise<void> {
    const { stream, config, redis, afterWrite, onProgress: onTurn, trace, metrics, log } = this.#options;
    const find = (olderThanMs: ReadonlyMap<string, number>, signal: AbortSignal) =>
      this.#writer.run((sql) => selectLastFixes(sql, olderThanMs), signal);
    try {
      await runPipeline(
        {
          stream,
          next: (signal) => this.#reader.next(signal),
          writer: this.#writer,
          states: new DeviceStates(config.DEVICE_STATE_CAP, find, metrics),
          afterWrite,
          redis,
          deadLetters: { stream, consumer: consumerName(config), maxLength: config.DLQ_MAX_LENGTH },
          acks: this.#acks,
          inFlight: this.#inFlight,
          future: { flagMs: config.FUTURE_FLAG_MS, limitMs: config.FUTURE_LIMIT_MS },
          // One more is read ahead. Decoded ahead, batches would outlive the young generation: CPU for nothing.
          batchesInFlight: config.WRITE_CONCURRENCY,
          onRetry: onTurn,
          trace,
          metrics,
          log,
        },
        stop,
        abandon,
      );
    } finally {
      this.#reader.close();
    }
  }
}
