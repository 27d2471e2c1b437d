import type { Logger } from '@app/runtime/log';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { TraceStep } from '@app/runtime/tracing';
import type { Redis } from 'ioredis';
import { consumerName, type ProcessorConfig } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { DeviceStateCap } from '../state/device-state-cap.ts';
import { DeviceStates } from '../state/device-states.ts';
import { lookUpLastFixes } from '../state/look-up-last-fixes.ts';
import { StatementRunner } from '../store/statement-runner.ts';
import { FixWriter, type WrittenFixes } from '../store/write-fixes.ts';
import { EntryAcks } from '../stream/ack-entries.ts';
import type { Entry } from '../stream/entry-reply.ts';
import { batchOf, type EntryBatch } from '../stream/entry-batch.ts';
import { readBatches } from '../stream/read-batches.ts';
import { ReadFailures } from '../stream/read-failures.ts';
import type { ReaderOptions } from '../stream/reader-context.ts';
import { type Fix, type Rejected } from '../fix.ts';
import { type AfterWrite, DomainStep } from './after-write.ts';
import { DeadLetterQueue, type StopSignals } from './dead-letter-queue.ts';
import { type ArrivedAtMs, type DecodedEntries, decodeEntries } from './decode-entries.ts';
import { InFlight } from './in-flight.ts';
import { OrderedQueue } from './ordered-queue.ts';
import { type Attempt, processQuarantined } from './quarantine.ts';
import { RejectionGuard } from './rejection-guard.ts';
import { logBatch, observeDurable } from './report-batch.ts';
import { traceInsert } from './trace-insert.ts';

export interface StreamLoopOptions {
  readonly stream: string;
  readonly config: ProcessorConfig;
  readonly redis: Redis;
  readonly postgres: PostgresClient;
  readonly afterWrite: AfterWrite;
  /** Default: the time in the entry's id. */
  readonly arrivedAtMs?: ArrivedAtMs;
  /** Measures the clocks by which `arrivedAtMs` corrects; by default there are none. */
  readonly measureClocks?: () => Promise<void>;
  readonly deviceStateCap: DeviceStateCap;
  /** Called at each iteration and before each retry; liveness is computed from it. */
  readonly onProgress: () => void;
  readonly trace?: TraceStep | undefined;
  /** Default: `permanentErrorLimitMs` of redis-error.ts. */
  readonly permanentErrorLimitMs?: number | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Ten times the size of a full batch of real records. */
const batchBytes = 8 * 1024 * 1024;
/** A consumer that was idle for this many times the claim time, and has nothing pending, is deleted. */
const consumerLifetimes = 60;
/** Reading waits while more acknowledgements than this are unanswered. */
const maxUnacked = 20_000;

interface WrittenBatch {
  readonly written: WrittenFixes;
  /** Entries that could not be decoded. */
  readonly undecodable: readonly Rejected[];
}

/**
 * The loop of one stream: read, decode and insert, then, in reading order, propose states, domain step, commit states,
 * dead letters, acknowledge. Nothing happens before `run`.
 */
export class StreamLoop {
  readonly #options: StreamLoopOptions;
  readonly #inFlight = new InFlight();
  readonly #readerOptions: ReaderOptions;
  readonly #statements: StatementRunner;
  readonly #writer: FixWriter;
  readonly #states: DeviceStates;
  readonly #rejections: RejectionGuard;
  readonly #domainStep: DomainStep;
  readonly #deadLetters: DeadLetterQueue;
  readonly #acks: EntryAcks;
  readonly #readFailures: ReadFailures;

  constructor(options: StreamLoopOptions) {
    const { stream, config, redis, postgres, onProgress, permanentErrorLimitMs, metrics, log } = options;
    const consumer = consumerName(config);
    const member = { stream, group: config.REDIS_CONSUMER_GROUP, consumer };
    this.#options = options;
    this.#acks = new EntryAcks(redis, member, metrics, log, onProgress, permanentErrorLimitMs);
    this.#statements = new StatementRunner({
      postgres,
      metrics,
      log,
      onRetry: onProgress,
      permanentErrorLimitMs,
    });
    this.#writer = new FixWriter({
      statements: this.#statements,
      concurrency: config.WRITE_CONCURRENCY,
      metrics,
    });
    this.#domainStep = new DomainStep(options.afterWrite, stream, onProgress, log);
    this.#states = new DeviceStates(
      options.deviceStateCap,
      lookUpLastFixes(this.#statements, metrics, log),
      metrics,
    );
    this.#rejections = new RejectionGuard({
      stream,
      acceptedReasons: config.DLQ_ACCEPT_REASONS ?? [],
      metrics,
      log,
      measureClocks: options.measureClocks ?? (async () => undefined),
      onProgress,
    });
    this.#deadLetters = new DeadLetterQueue({
      redis,
      target: { ...member, maxLength: config.DLQ_MAX_LENGTH, whenFull: config.DLQ_WHEN_FULL },
      acks: this.#acks,
      metrics,
      log,
      onRetry: onProgress,
      permanentErrorLimitMs,
    });
    this.#readFailures = new ReadFailures(stream, metrics, log, permanentErrorLimitMs);
    this.#readerOptions = {
      ...member,
      redisUrl: config.REDIS_URL,
      commands: redis,
      maxPerRead: config.BATCH_SIZE,
      maxPerBatch: config.WRITE_BATCH_SIZE,
      batchBytes,
      blockMs: config.BATCH_BLOCK_MS,
      lingerMs: config.WRITE_LINGER_MS,
      claimIdleMs: config.CLAIM_IDLE_MS,
      claimIntervalMs: config.CLAIM_INTERVAL_MS,
      deleteConsumersAfterMs: consumerLifetimes * config.CLAIM_IDLE_MS,
      maxDeliveries: config.MAX_DELIVERIES,
      excludedIds: () =>
        this.#inFlight.ids().union(this.#deadLetters.waitingIds).union(this.#acks.unackedIds),
      onProgress,
      failures: this.#readFailures,
      metrics,
      log,
    };
  }

  /** Why a statement is being retried, for which the process is not ready; undefined if none is. */
  get retryReason(): string | undefined {
    return this.#statements.retryReason;
  }

  /** Why nothing, or not everything, can be dead-lettered: not ready. Undefined while everything can be. */
  get deadLetterWaitReason(): string | undefined {
    if (this.#rejections.stopReason !== undefined)
      return `${this.#options.stream} is stopped: ${this.#rejections.stopReason}`;
    const { waitReason } = this.#deadLetters;
    return waitReason === undefined ? undefined : `dead letters wait: ${waitReason}`;
  }

  /** What fails in reading: not ready. */
  get readFailure(): string | undefined {
    return this.#readFailures.reason;
  }

  /**
   * Runs until `stop` aborts and everything that was read is acknowledged. Rejects with an error that
   * retrying cannot fix, and with `abandon`'s reason once that aborts; what is not acknowledged by then stays pending.
   */
  async run(stop: AbortSignal, abandon: AbortSignal): Promise<void> {
    // One more batch is read ahead, but not decoded: its objects would be promoted to V8's old generation.
    const queue = new OrderedQueue(this.#options.config.WRITE_CONCURRENCY);
    const giveUp = AbortSignal.any([abandon, queue.failed, this.#acks.failed, this.#deadLetters.failed]);
    const signals = { stop, giveUp };
    const stopReading = AbortSignal.any([stop, giveUp]);
    await this.#whenReady();
    for await (const batch of readBatches(this.#readerOptions, stopReading)) {
      this.#inFlight.add(batch);
      if (batch.isQuarantined) {
        await queue.drain();
        await this.#processQuarantined(batch, signals);
      } else {
        await queue.push(
          () => this.#insert(batch.entries, giveUp),
          (result) => this.#finish(batch, result, signals),
        );
      }
      await this.#whenReady();
    }
    await queue.drain();
    await this.#deadLetters.flush();
    giveUp.throwIfAborted();
    await this.#acks.flush(0);
  }

  /** Back-pressure: nothing is read while an insert is retried, or too many acknowledgements are unanswered. */
  async #whenReady(): Promise<void> {
    await this.#statements.whenNotRetrying();
    await this.#acks.flush(maxUnacked);
  }

  /** Overlaps with the inserts of other batches. */
  async #insert(entries: readonly Entry[], giveUp: AbortSignal, onWait?: () => void): Promise<WrittenBatch> {
    const { stream, trace } = this.#options;
    const decoded = this.#decode(entries);
    const written = await traceInsert(trace, stream, entries, () =>
      this.#writer.write(decoded.fixes, giveUp, onWait),
    );
    return { written, undecodable: decoded.rejected };
  }

  #decode(entries: readonly Entry[]): DecodedEntries {
    const { config, arrivedAtMs } = this.#options;
    const limits = {
      futureFlagMs: config.FUTURE_FLAG_MS,
      futureLimitMs: config.FUTURE_LIMIT_MS,
      pastLimitMs: config.PAST_LIMIT_MS,
    };
    return decodeEntries(entries, limits, arrivedAtMs);
  }

  /** Whether most entries that were too far ahead of their arrival are not any more, since its correction has changed. */
  #isOutdated(undecodable: readonly Rejected[]): boolean {
    const ahead = undecodable.filter(({ reason }) => reason === 'future_limit');
    if (ahead.length === 0) return false;
    const stillAhead = this.#decode(ahead.map(({ entry }) => entry)).rejected.length;
    return 2 * stillAhead < ahead.length;
  }

  /** In reading order, after the same of the batch before. */
  async #finish(
    batch: EntryBatch,
    { written, undecodable }: WrittenBatch,
    signals: StopSignals,
  ): Promise<void> {
    const { giveUp } = signals;
    const { stream, metrics, log } = this.#options;
    const { durable, repeated, refused, conflicting } = written;
    observeDurable(metrics, durable);
    const proposed = await this.#states.next(durable, giveUp);
    const failed = await this.#domainStep.run(proposed.transitions, repeated, giveUp);
    this.#states.commit(proposed);
    for (const { reason } of undecodable) metrics.decodeErrors.inc({ reason });
    const isConflicting = new Set(conflicting.map(({ entry }) => entry.id));
    const rejected = [
      ...undecodable,
      ...refused,
      ...conflicting.map(rejectConflicting),
      // One dead letter an entry.
      ...failed.filter(({ entry }) => !isConflicting.has(entry.id)),
    ];
    const isOutdated = (): boolean => this.#isOutdated(undecodable);
    const admission = await this.#rejections.admit(batch.entries.length, rejected, isOutdated, signals);
    // What the first pass stored is a duplicate now, as if the batch had been redelivered.
    if (admission === 'outdated')
      return this.#finish(batch, await this.#insert(batch.entries, giveUp), signals);
    if (admission === 'stopped') {
      this.#inFlight.remove(batch);
      return;
    }
    // Acknowledge last: a crash before this point must redeliver the batch.
    const acknowledged = this.#acknowledge(batch, rejected, signals);
    this.#inFlight.remove(batch);
    await acknowledged;
    logBatch(log, stream, batch.entries, durable, rejected);
  }

  /** Takes over the ids of the batch before it returns. A batch with rejected entries waits for its dead letters. */
  async #acknowledge(
    { entries, vanishedIds }: EntryBatch,
    rejected: readonly Rejected[],
    signals: StopSignals,
  ): Promise<void> {
    const ids = [...entries.map(({ id }) => id), ...vanishedIds];
    if (rejected.length === 0) {
      this.#acks.add(ids, signals.giveUp);
      return;
    }
    const rejectedIds = new Set(rejected.map(({ entry }) => entry.id));
    const storedIds = ids.filter((id) => !rejectedIds.has(id));
    await this.#deadLetters.add(storedIds, rejected, signals);
  }

  async #processQuarantined(batch: EntryBatch, signals: StopSignals): Promise<void> {
    const { giveUp } = signals;
    const { redis, stream, onProgress, permanentErrorLimitMs, log } = this.#options;
    const process = async (entry: Entry, attempt: Attempt): Promise<void> => {
      let hasWaited = false;
      const onWait = (): void => {
        hasWaited = true;
        void attempt.pause();
      };
      const result = await this.#insert([entry], giveUp, onWait);
      if (hasWaited) await attempt.begin();
      await this.#finish(batchOf([entry]), result, signals);
    };
    const reject = async (entry: Entry, attempts: number): Promise<void> => {
      const detail = `the process crashed ${attempts} times while it processed this entry alone`;
      await this.#deadLetters.add([], [{ entry, reason: 'ended_process', detail }], signals);
    };
    const context = { redis, stream, signal: giveUp, onProgress, permanentErrorLimitMs, log };
    await processQuarantined(batch.entries, { process, reject }, context);
    this.#inFlight.remove(batch);
  }
}

/** A fix whose device and time are stored with other content. */
function rejectConflicting({ entry, position }: Fix): Rejected {
  const detail = 'another record of this device with the same fix time and other content is stored already';
  return { entry, reason: 'same_time', detail, deviceId: position.deviceId };
}
