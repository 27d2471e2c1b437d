import type { Logger } from '@app/runtime/log';
import { delay, fullJitterMs } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Rejected } from '../fix.ts';
import type { Metrics } from '../metrics.ts';
import type { EntryAcks } from '../stream/ack-entries.ts';
import { deadLetterStream, encodeDeadLetter } from '../stream/dead-letter.ts';
import { PermanentErrorLimit, redisErrorCode } from '../stream/redis-error.ts';
import {
  type DeadLetterTarget,
  type EncodedDeadLetter,
  writeDeadLetters,
} from '../stream/write-dead-letters.ts';
import { explainWait, type WriteFailure } from './explain-dead-letter-wait.ts';

/** While dead letters wait, batches continue until the waiting ones have this many entries or bytes of dead letters. */
const maxWaitingEntries = 20_000;
const maxWaitingBytes = 8 * 1024 * 1024;
const deadLettersPerScript = 100;
const maxRetryDelayMs = 2000;
/** Maximum ids per log line; the dead-letter stream has them all. */
const maxLoggedIds = 10;

export interface DeadLetterQueueOptions {
  readonly redis: Redis;
  readonly target: DeadLetterTarget;
  readonly acks: EntryAcks;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Called before each retry: a loop that waits is alive. */
  readonly onRetry: () => void;
  readonly permanentErrorLimitMs?: number | undefined;
}

export interface StopSignals {
  /** Ends waiting: what is not written is left pending. */
  readonly stop: AbortSignal;
  /** Ends everything. */
  readonly giveUp: AbortSignal;
}

interface WaitingDeadLetter extends EncodedDeadLetter {
  readonly detail: string;
}

/** A batch with rejected entries. */
interface WaitingBatch {
  /** Acknowledged once the dead letters are written. */
  readonly storedIds: readonly string[];
  readonly deadLetters: readonly WaitingDeadLetter[];
  readonly bytes: number;
  /** Number of `deadLetters` that are written. */
  written: number;
}

/**
 * Writes the rejected entries of batches to the dead-letter stream, in order, and acknowledges a batch once its dead
 * letters are written. While they cannot be (the stream is full, Redis is out of memory), other batches continue, up to a
 * bound.
 */
export class DeadLetterQueue {
  readonly #options: DeadLetterQueueOptions;
  readonly #failure = new AbortController();
  readonly #queue: WaitingBatch[] = [];
  #entries = 0;
  #bytes = 0;
  #cause: string | undefined;
  #isLeft = false;
  #running: Promise<void> | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: DeadLetterQueueOptions) {
    this.#options = options;
    this.#publish();
  }

  /** Why dead letters wait; undefined while none does. */
  get waitReason(): string | undefined {
    return this.#cause;
  }

  /** Aborted with an error that says what to do, once Redis has refused dead letters for too long. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  /** Entries of batches that are not acknowledged yet. */
  get waitingIds(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const { storedIds, deadLetters, written } of this.#queue) {
      for (const id of storedIds) ids.add(id);
      for (const { entryId } of deadLetters.slice(written)) ids.add(entryId);
    }
    return ids;
  }

  /**
   * Adds a batch: ids that are stored, and rejected entries. Resolves when the next may be added; rejects with the reason
   * of `giveUp`, also once writing has failed.
   */
  async add(
    storedIds: readonly string[],
    rejected: readonly Rejected[],
    signals: StopSignals,
  ): Promise<void> {
    signals.giveUp.throwIfAborted();
    if (this.#isLeft) return;
    const at = new Date().toISOString();
    // Copied: a view would keep the whole reply in memory.
    const deadLetters = rejected.map((each) => ({
      entryId: each.entry.id,
      reason: each.reason,
      detail: each.detail,
      fields: encodeDeadLetter(each, this.#options.target.consumer, at).map((field) =>
        typeof field === 'string' ? field : Buffer.from(field),
      ),
    }));
    const bytes = deadLetters.reduce((total, { fields }) => total + bytesOf(fields), 0);
    this.#queue.push({ storedIds, deadLetters, bytes, written: 0 });
    this.#entries += storedIds.length + deadLetters.length;
    this.#bytes += bytes;
    this.#running ??= this.#run(signals);
    while (this.#entries > maxWaitingEntries || this.#bytes > maxWaitingBytes) await this.#changed.promise;
    signals.giveUp.throwIfAborted();
  }

  /** Resolves when nothing waits, or what waits is left pending because of a stop. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.failed.throwIfAborted();
  }

  async #run({ stop, giveUp }: StopSignals): Promise<void> {
    const { target, onRetry, permanentErrorLimitMs } = this.#options;
    const limit = new PermanentErrorLimit(
      `dead letters in ${deadLetterStream(target.stream)}`,
      permanentErrorLimitMs,
    );
    const interrupted = AbortSignal.any([stop, giveUp]);
    let failures = 0;
    let isRepeated = false;
    try {
      for (let batch = this.#queue[0]; batch !== undefined; batch = this.#queue[0]) {
        const failure = await this.#write(batch, isRepeated, giveUp).then(
          (isFull) => (isFull ? 'full' : undefined),
          (error: unknown) => ({ error }),
        );
        if (failure === undefined) {
          if (this.#cause !== undefined) this.#resume();
          limit.reset();
          failures = 0;
          isRepeated = false;
          continue;
        }
        giveUp.throwIfAborted();
        if (failure === 'full') limit.reset();
        else {
          limit.check(failure.error);
          // What Redis refused was not written.
          if (redisErrorCode(failure.error) === undefined) isRepeated = true;
        }
        failures += 1;
        this.#wait(failure);
        if (stop.aborted) {
          this.#leavePending();
          return;
        }
        onRetry();
        await delay(fullJitterMs(failures, { maxDelayMs: maxRetryDelayMs }), interrupted).catch(
          () => undefined,
        );
        giveUp.throwIfAborted();
      }
    } catch (error) {
      if (!giveUp.aborted) this.#failure.abort(error);
      // The entries stay pending; `add` must not wait for them.
      this.#clear();
    } finally {
      // Synchronously with the last check of the queue: an `add` in between would rely on a run that has ended.
      this.#running = undefined;
      this.#notify();
    }
  }

  /** Writes some dead letters of a batch, and completes it if these are the last; returns whether the stream is full. */
  async #write(batch: WaitingBatch, isRepeated: boolean, giveUp: AbortSignal): Promise<boolean> {
    const { redis, target, acks, metrics } = this.#options;
    const deadLetters = batch.deadLetters.slice(batch.written, batch.written + deadLettersPerScript);
    const { outcomes, trimmed } = await writeDeadLetters(redis, target, deadLetters, isRepeated);
    const { stream } = target;
    metrics.deadLettersTrimmed.inc({ stream }, trimmed);
    const written = deadLetters.filter((_deadLetter, index) => outcomes[index] === 'written');
    for (const { reason } of written) metrics.deadLetters.inc({ reason });
    metrics.acks.inc(written.length);
    this.#logWritten(written);
    batch.written += outcomes.length;
    this.#entries -= outcomes.length;
    if (batch.written === batch.deadLetters.length) {
      this.#queue.shift();
      this.#entries -= batch.storedIds.length;
      this.#bytes -= batch.bytes;
      acks.add(batch.storedIds, giveUp);
    }
    this.#notify();
    return deadLetters.length > 0 && outcomes.length === 0;
  }

  #wait(failure: WriteFailure): void {
    const { target, log } = this.#options;
    const { stream } = target;
    const { reason, remedy, level } = explainWait(failure, deadLetterStream(stream));
    // Each changed cause once.
    if (reason !== this.#cause) {
      const error = failure === 'full' ? undefined : failure.error;
      log[level]({ stream, error, reason }, `dead letters wait and their entries stay pending; ${remedy}`);
    }
    this.#cause = reason;
    this.#publish();
  }

  #resume(): void {
    this.#options.log.info({ stream: this.#options.target.stream }, 'dead letters are written again');
    this.#cause = undefined;
    this.#publish();
  }

  #leavePending(): void {
    const { target, log } = this.#options;
    log.warn(
      { stream: target.stream, entries: this.#entries, reason: this.#cause },
      'stopping while dead letters wait; their entries stay pending and are read again after the start',
    );
    this.#clear();
  }

  #clear(): void {
    this.#isLeft = true;
    this.#queue.length = 0;
    this.#entries = 0;
    this.#bytes = 0;
  }

  #publish(): void {
    const deadLetters = this.#queue.reduce(
      (total, each) => total + each.deadLetters.length - each.written,
      0,
    );
    const { metrics, target } = this.#options;
    metrics.deadLettersWaiting.set({ stream: target.stream }, this.#cause === undefined ? 0 : deadLetters);
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #logWritten(written: readonly WaitingDeadLetter[]): void {
    const { target, log } = this.#options;
    for (const [reason, deadLetters] of Map.groupBy(written, (each) => each.reason)) {
      const ids = deadLetters.slice(0, maxLoggedIds).map(({ entryId }) => entryId);
      const { stream } = target;
      const detail = deadLetters[0]?.detail;
      log.warn({ stream, reason, detail, entries: deadLetters.length, ids }, 'entries dead-lettered');
    }
  }
}

function bytesOf(fields: readonly (Buffer | string)[]): number {
  return fields.reduce((total, field) => total + field.length, 0);
}
