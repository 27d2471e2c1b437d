import type { Logger } from '@app/runtime/log';
import { delay } from '@app/runtime/retry';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import { deadLetterStream } from './dead-letter.ts';

/** The lag of a group on one stream, at one moment of Redis' clock. */
export interface StreamLag {
  /** Entries not yet delivered; null if Redis does not know (after XDEL, or if the group was created inside the stream). */
  readonly entries: number | null;
  /** Age of the first entry not yet delivered; 0 if there is none. */
  readonly lagMs: number;
  /** From the oldest entry in the stream to the first undelivered one, or to now if all were delivered. */
  readonly trimHeadroomMs: number;
  readonly pending: number;
  readonly oldestPendingMs: number;
  /** Undefined if the stream never had an entry. */
  readonly sinceLastRecordMs: number | undefined;
  /** Entries in the dead-letter stream. */
  readonly deadLetters: number;
}

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

/** Samples every `intervalMs` until it is disposed; while Redis fails, the last values stay. */
export function createConsumerLagSampler(options: LagSamplerOptions): AsyncDisposable {
  const disposed = new AbortController();
  const ended = sampleUntil(disposed.signal, options);
  return {
    async [Symbol.asyncDispose]() {
      disposed.abort();
      await ended;
    },
  };
}

async function sampleUntil(stop: AbortSignal, options: LagSamplerOptions): Promise<void> {
  const { redis, streams, group, intervalMs, maxDeadLetters, metrics, log } = options;
  while (!stop.aborted) {
    for (const stream of streams) {
      try {
        const lag = await readStreamLag(redis, stream, group);
        if (lag === undefined) continue;
        publish(metrics, stream, lag);
        metrics.deadLetterFillRatio.set({ stream }, lag.deadLetters / maxDeadLetters);
      } catch (error) {
        log.debug({ stream, error }, 'lag sample failed');
      }
    }
    await delay(intervalMs, stop).catch(() => undefined);
  }
}

/** Undefined while the stream or the group does not exist. */
export async function readStreamLag(
  redis: Redis,
  stream: string,
  group: string,
): Promise<StreamLag | undefined> {
  const results = await redis
    .multi()
    .call('TIME')
    .call('XINFO', 'STREAM', stream)
    .call('XINFO', 'GROUPS', stream)
    .call('XPENDING', stream, group)
    .exec();
  const [time, streamInfo, groups, pending] = (results ?? []).map(([error, reply]) => {
    if (error !== null && /^(NOGROUP|ERR no such key)/u.test(error.message)) return undefined;
    if (error !== null) throw error;
    return reply;
  });
  const own = (Array.isArray(groups) ? groups : []).map(asInfo).find((info) => info.get('name') === group);
  if (own === undefined || !Array.isArray(time) || !Array.isArray(pending)) return undefined;

  // Redis' clock throughout: entry ids contain it, and this host's clock may be wrong.
  const nowMs = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
  const info = asInfo(streamInfo);
  const lastGeneratedId = String(info.get('last-generated-id'));
  const lastDeliveredId = String(own.get('last-delivered-id'));
  const firstKeptId = firstIdOf(info.get('first-entry'));
  const firstUndeliveredId =
    lastDeliveredId === lastGeneratedId
      ? undefined
      : (await redis.xrange(stream, `(${lastDeliveredId}`, '+', 'COUNT', 1))[0]?.[0];
  const lag = own.get('lag');
  const oldestPendingId: unknown = pending[1];
  const undeliveredAtMs = firstUndeliveredId === undefined ? nowMs : entryArrivedAtMs(firstUndeliveredId);
  return {
    entries: typeof lag === 'number' ? lag : null,
    // Not from the last delivered id, whose age grows while the stream is idle.
    lagMs: Math.max(0, nowMs - undeliveredAtMs),
    trimHeadroomMs:
      firstKeptId === undefined ? 0 : Math.max(0, undeliveredAtMs - entryArrivedAtMs(firstKeptId)),
    pending: Number(pending[0]),
    oldestPendingMs:
      typeof oldestPendingId === 'string' ? Math.max(0, nowMs - entryArrivedAtMs(oldestPendingId)) : 0,
    sinceLastRecordMs:
      lastGeneratedId === '0-0' ? undefined : Math.max(0, nowMs - entryArrivedAtMs(lastGeneratedId)),
    deadLetters: await redis.xlen(deadLetterStream(stream)),
  };
}

function publish(metrics: Metrics, stream: string, lag: StreamLag): void {
  metrics.lag.set({ stream }, lag.entries ?? Number.NaN);
  metrics.lagSeconds.set({ stream }, lag.lagMs / 1000);
  metrics.trimHeadroomSeconds.set({ stream }, lag.trimHeadroomMs / 1000);
  metrics.pending.set({ stream }, lag.pending);
  metrics.oldestPendingSeconds.set({ stream }, lag.oldestPendingMs / 1000);
  metrics.secondsSinceLastRecord.set({ stream }, (lag.sinceLastRecordMs ?? Number.NaN) / 1000);
}

function asInfo(reply: unknown): ReadonlyMap<string, unknown> {
  const flat: readonly unknown[] = Array.isArray(reply) ? reply : [];
  const info = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) info.set(String(flat[i]), flat[i + 1]);
  return info;
}

function firstIdOf(entry: unknown): string | undefined {
  return Array.isArray(entry) && typeof entry[0] === 'string' ? entry[0] : undefined;
}
