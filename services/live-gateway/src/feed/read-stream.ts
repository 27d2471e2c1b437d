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

/** Redis answers within BLOCK; after so much more the connection is taken for dead. */
const deadlineBeyondBlockMs = 2_000;
const maxBackoffMs = 2_000;

/**
 * Reads one stream from the place's applied id on, batch by batch, until the signal; rejects with its reason. The
 * consumer moves the place on; a batch may be empty: nothing came within BLOCK.
 *
 * XREAD from an own id, not XREADGROUP: a reply that got lost on the way is simply read again. Never `$`: what comes
 * between two calls would vanish. The connection is a new one after each trouble, because a half-open one answers
 * nothing and closes never.
 */
export async function* readStream(options: {
  readonly place: StreamCursor;
  /** Opens a connection for this reader alone; it is closed here. */
  readonly connect: () => Redis;
  readonly batchSize: number;
  readonly blockMs: number;
  /** Before the next read, after one that was not full and took so long to apply: a read returns with the first entry, and each has its price. */
  readonly lingerMs: (appliedMs: number) => number;
  readonly warmWindowMs: number;
  readonly signal: AbortSignal;
  readonly onLocated: (info: StreamInfo, wentBack: boolean) => void;
  readonly onTrouble: (error: unknown, delayMs: number) => void;
}): AsyncGenerator<readonly StreamEntry[], never> {
  const { place, batchSize, blockMs, signal } = options;
  const deadlineMs = blockMs + deadlineBeyondBlockMs;
  let failures = 0;
  for (;;) {
    signal.throwIfAborted();
    const redis = options.connect();
    // A blocked XREAD does not hear the signal; without its connection it ends.
    const hangUp = (): void => redis.disconnect();
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      const info = await withDeadline(readStreamInfo(redis, place.stream), deadlineMs, 'XINFO STREAM');
      options.onLocated(info, place.locate(info, options.warmWindowMs));
      for (;;) {
        const fromId = place.appliedId ?? beforeAllEntries;
        const reading = readEntries(redis, place.stream, fromId, batchSize, blockMs);
        const entries = await withDeadline(reading, deadlineMs, 'XREAD');
        failures = 0;
        const readAtMs = performance.now();
        yield entries;
        signal.throwIfAborted();
        const appliedMs = performance.now() - readAtMs;
        if (entries.length > 0 && entries.length < batchSize)
          await delay(options.lingerMs(appliedMs), signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      failures += 1;
      const delayMs = fullJitterMs(failures, { maxDelayMs: maxBackoffMs });
      options.onTrouble(error, delayMs);
      await delay(delayMs, signal);
    } finally {
      signal.removeEventListener('abort', hangUp);
      hangUp();
    }
  }
}

async function readEntries(
  redis: Redis,
  stream: string,
  fromId: string,
  batchSize: number,
  blockMs: number,
): Promise<readonly StreamEntry[]> {
  const reply = await redis.xreadBuffer('COUNT', batchSize, 'BLOCK', blockMs, 'STREAMS', stream, fromId);
  return (reply?.[0]?.[1] ?? []).map(([id, fields]) => ({ id: id.toString('latin1'), fields }));
}
