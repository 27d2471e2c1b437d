import type { Logger } from '@app/runtime/log';
import { delay } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import { RewindDetector } from './rewind-detector.ts';
import { readStreamLag, type StreamLag } from './stream-lag.ts';

export interface LagSamplerOptions {
  readonly redis: Redis;
  readonly streams: readonly string[];
  readonly group: string;
  readonly intervalMs: number;
  /** `DLQ_MAX_LENGTH`. */
  readonly maxDeadLetters: number;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Samples every `intervalMs` until it is disposed. What a sample does not tell is NaN. */
export class ConsumerLagSampler implements AsyncDisposable {
  readonly #options: LagSamplerOptions;
  readonly #disposed = new AbortController();
  /** Streams whose last sample failed. */
  readonly #failing = new Set<string>();
  /** Streams whose group is ahead. */
  readonly #ahead = new Set<string>();
  readonly #lastDeliveredIds = new Map<string, string>();
  readonly #rewinds = new Map<string, RewindDetector>();
  /** Newest ids, and when they were first seen. */
  readonly #newest = new Map<string, { readonly id: string; readonly seenAtMs: number }>();
  readonly #idsAheadMs = new Map<string, number>();
  readonly #ended: Promise<void>;

  constructor(options: LagSamplerOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  /** Why entries are skipped, for /readyz. */
  get reason(): string | undefined {
    const [stream] = this.#ahead;
    return stream === undefined
      ? undefined
      : `${stream}: the group is ahead of the stream, entries are skipped`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { streams, intervalMs } = this.#options;
    const stop = this.#disposed.signal;
    while (!stop.aborted) {
      for (const stream of streams) await this.#sample(stream);
      await delay(intervalMs, stop).catch(() => undefined);
    }
  }

  async #sample(stream: string): Promise<void> {
    const { redis, group, maxDeadLetters, metrics, log } = this.#options;
    let lag: StreamLag | undefined;
    try {
      lag = await readStreamLag(redis, stream, group);
      if (this.#failing.delete(stream)) log.info({ stream }, 'lag is sampled again');
    } catch (error) {
      if (!this.#failing.has(stream))
        log.warn({ stream, error }, 'lag sample failed; its metrics are NaN until one succeeds');
      this.#failing.add(stream);
    }
    publish(metrics, stream, lag, maxDeadLetters);
    if (lag === undefined) return;
    this.#noteIdsAhead(stream, lag);
    this.#noteGroup(stream, lag);
    this.#noteRewind(stream, lag);
  }

  /** An id ahead of Redis' clock has no age, so the newest one's is the time since it was seen. */
  #noteIdsAhead(stream: string, { lastGeneratedId, idsAheadMs }: StreamLag): void {
    const { metrics } = this.#options;
    this.#idsAheadMs.set(stream, idsAheadMs);
    metrics.clockSkew.set({ clock: 'stream' }, Math.max(...this.#idsAheadMs.values()) / 1000);
    let newest = this.#newest.get(stream);
    if (newest?.id !== lastGeneratedId) newest = { id: lastGeneratedId, seenAtMs: performance.now() };
    this.#newest.set(stream, newest);
    if (idsAheadMs > 0)
      metrics.secondsSinceLastRecord.set({ stream }, (performance.now() - newest.seenAtMs) / 1000);
  }

  #noteRewind(stream: string, lag: StreamLag): void {
    const { metrics, log } = this.#options;
    const detector = this.#rewinds.get(stream) ?? new RewindDetector();
    this.#rewinds.set(stream, detector);
    const entries = detector.check(lag);
    if (entries === 0) return;
    metrics.entriesLostAtMost.inc(entries);
    const { lastGeneratedId } = lag;
    log.error(
      { stream, entries, lastGeneratedId },
      `the stream was emptied or went back to an older state; up to ${entries} undelivered entries are lost`,
    );
  }

  #noteGroup(stream: string, { lastDeliveredId, lastGeneratedId, isGroupAhead }: StreamLag): void {
    const { group, log } = this.#options;
    const wasAhead = this.#ahead.has(stream);
    if (!isGroupAhead) {
      this.#lastDeliveredIds.set(stream, lastDeliveredId);
      if (this.#ahead.delete(stream))
        log.info({ stream, lastDeliveredId, lastGeneratedId }, 'the group is no longer ahead of its stream');
      return;
    }
    if (wasAhead) return;
    this.#ahead.add(stream);
    log.error(
      {
        stream,
        group,
        lastDeliveredId,
        lastGeneratedId,
        deliveredBeforeId: this.#lastDeliveredIds.get(stream),
      },
      'the group is ahead of its stream: entries that arrive are skipped; set it back with XGROUP SETID',
    );
  }
}

function publish(metrics: Metrics, stream: string, lag: StreamLag | undefined, maxDeadLetters: number): void {
  metrics.lag.set({ stream }, lag?.entries ?? Number.NaN);
  metrics.lagSeconds.set({ stream }, toSeconds(lag?.lagMs));
  metrics.trimHeadroomSeconds.set({ stream }, toSeconds(lag?.trimHeadroomMs));
  metrics.pending.set({ stream }, lag?.pending ?? Number.NaN);
  metrics.oldestPendingSeconds.set({ stream }, toSeconds(lag?.oldestPendingMs));
  metrics.secondsSinceLastRecord.set({ stream }, toSeconds(lag?.sinceLastRecordMs));
  metrics.deadLetterFillRatio.set({ stream }, (lag?.deadLetters ?? Number.NaN) / maxDeadLetters);
  metrics.groupAhead.set({ stream }, lag === undefined ? Number.NaN : Number(lag.isGroupAhead));
}

function toSeconds(ms: number | undefined): number {
  return (ms ?? Number.NaN) / 1000;
}
