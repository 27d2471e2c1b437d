import type { Redis } from 'ioredis';
import { withDeadline } from '@app/runtime/deadline';
import { delay, fullJitterMs } from '@app/runtime/retry';
import { beforeAllEntries } from './stream-cursor.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';
import { readStreamInfo } from './stream-info.ts';

/** An entry as Redis holds it: fields as `[name, value, name, value, …]` in bytes. */
export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
}

export interface ReadSettings {
  /** Opens a connection for one reader, which closes it. */
  readonly connect: () => Redis;
  readonly batchSize: number;
  readonly blockMs: number;
  readonly warmWindowMs: number;
  /** How long to wait after a read that was not full and took `appliedMs` to apply. */
  readonly waitBeforeReadMs: (appliedMs: number) => number;
}

export type ReadEvent =
  /** Connected, and the cursor is located in the stream. */
  | { readonly type: 'located'; readonly info: StreamInfo; readonly isRewound: boolean }
  /** The entries after the cursor; none if BLOCK timed out. */
  | { readonly type: 'entries'; readonly entries: readonly StreamEntry[] }
  /** The read failed; the next one follows after a backoff, over a new connection. */
  | { readonly type: 'failed'; readonly error: unknown };

/** How much longer than BLOCK a reply may take before the connection counts as dead. */
export const replyMarginMs = 2_000;
const maxBackoffMs = 2_000;

/**
 * Reads one stream from the cursor on until the signal; rejects with its reason. The consumer advances the cursor.
 *
 * XREAD from the gateway's own offset instead of XREADGROUP: a lost reply is read again. Never `$`: entries added between two
 * calls would be skipped. Every failure gets a new connection, because a half-open one never answers and never closes.
 */
export async function* readStream(
  cursor: StreamCursor,
  settings: ReadSettings,
  signal: AbortSignal,
): AsyncGenerator<ReadEvent, never> {
  const { batchSize, blockMs } = settings;
  const deadlineMs = blockMs + replyMarginMs;
  let failures = 0;
  for (;;) {
    signal.throwIfAborted();
    const redis = settings.connect();
    // A blocked XREAD cannot be aborted; disconnecting ends it.
    const disconnect = (): void => redis.disconnect();
    signal.addEventListener('abort', disconnect, { once: true });
    try {
      const info = await withDeadline(readStreamInfo(redis, cursor.stream), deadlineMs, 'XINFO STREAM');
      yield { type: 'located', info, isRewound: cursor.relocate(info, settings.warmWindowMs) };
      for (;;) {
        const fromId = cursor.appliedId ?? beforeAllEntries;
        const reading = xread(redis, cursor.stream, fromId, batchSize, blockMs);
        const entries = await withDeadline(reading, deadlineMs, 'XREAD');
        failures = 0;
        const readAtMs = performance.now();
        yield { type: 'entries', entries };
        signal.throwIfAborted();
        const appliedMs = performance.now() - readAtMs;
        // XREAD returns with the first entry; without a pause each entry would cost a read of its own.
        if (entries.length > 0 && entries.length < batchSize)
          await delay(settings.waitBeforeReadMs(appliedMs), signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      yield { type: 'failed', error };
      await delay(fullJitterMs(failures, { maxDelayMs: maxBackoffMs }), signal);
    } finally {
      signal.removeEventListener('abort', disconnect);
      disconnect();
    }
  }
}

async function xread(
  redis: Redis,
  stream: string,
  fromId: string,
  batchSize: number,
  blockMs: number,
): Promise<readonly StreamEntry[]> {
  const reply = await redis.xreadBuffer('COUNT', batchSize, 'BLOCK', blockMs, 'STREAMS', stream, fromId);
  return (reply?.[0]?.[1] ?? []).map(([id, fields]) => ({ id: id.toString('latin1'), fields }));
}
