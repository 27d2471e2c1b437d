import { DeadlineError } from '@app/runtime/deadline';
import { delay, fullJitterMs } from '@app/runtime/retry';
import { ReadLimiter } from './read-limiter.ts';
import { claimIdle } from './claim-idle.ts';
import {
  ensureGroup,
  isGroupMissing,
  killConnectionsByName,
  readerName,
  streamLength,
} from './consumer-group.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { EntriesReply } from './entry-reply.ts';
import { LossDetector } from './loss-detector.ts';
import type { ReadStep } from './read-failures.ts';
import type { ReaderOptions } from './reader-context.ts';
import { readNew } from './read-new.ts';
import { readPending } from './read-pending.ts';
import { RedisReplyError } from './resp-reply.ts';
import { StreamClient } from './stream-client.ts';
import { commandDeadlineMs, StreamConnection } from './stream-connection.ts';

const groupMissingDelayMs = 1000;
const maxRetryDelayMs = 5000;

/**
 * Reads one stream as one consumer until `stop` aborts: first its own pending entries, then idle ones of other
 * consumers, then new ones, with further claims at their interval.
 *
 * After every failure (lost connection, missed deadline) the connection is replaced, the old one is killed in Redis, and
 * own pending entries come first again: a half-open connection may have been sent entries that never arrived. Throws once
 * Redis has refused the commands for so long that only an operator can help.
 */
export async function* readBatches(
  options: ReaderOptions,
  stop: AbortSignal,
): AsyncGenerator<EntryBatch, void, void> {
  const losses = new LossDetector();
  const readLimiter = new ReadLimiter(options.batchBytes);
  const { failures } = options;
  let isFirst = true;
  let staleClientId: number | undefined;
  let nextClaimAtMs = 0;
  /** Slow or failing claims must not keep new entries from being read: between two claims they are, whatever happens. */
  let hasReadNew = true;
  const noteRead = (result: string, reply: EntriesReply): void => {
    options.metrics.reads.inc({ result });
    options.metrics.records.inc(reply.entries.length);
    readLimiter.observe(reply);
    options.onProgress();
    if (result === 'entries' || result === 'empty') failures.succeeded('read');
  };
  while (!stop.aborted) {
    let connection: StreamConnection | undefined;
    let step: ReadStep = 'read';
    let retryDelayMs = 0;
    try {
      connection = await openConnection(options, { isFirst, staleClientId });
      isFirst = false;
      await ensureGroup(connection, options);
      const client = new StreamClient(connection, options);
      const context = { options, connection, client, losses, readLimiter, stop, noteRead };
      yield* readPending(context);
      while (!stop.aborted) {
        if (hasReadNew && performance.now() >= nextClaimAtMs) {
          step = 'claim';
          hasReadNew = false;
          try {
            yield* claimIdle(context);
          } finally {
            nextClaimAtMs = performance.now() + options.claimIntervalMs;
          }
          step = 'read';
        }
        if (!stop.aborted) yield* readNew(context);
        hasReadNew = true;
      }
    } catch (error) {
      failures.failed(step === 'claim' && isOfCommand(error) ? step : 'read', error);
      retryDelayMs = isGroupMissing(error)
        ? groupMissingDelayMs
        : fullJitterMs(Math.max(1, failures.count('read')), { maxDelayMs: maxRetryDelayMs });
    } finally {
      connection?.close();
      staleClientId = connection?.clientId ?? staleClientId;
    }
    options.onProgress();
    await delay(retryDelayMs, stop).catch(() => undefined);
  }
}

/** Whether a command failed by itself, and not because of the connection or the group. */
function isOfCommand(error: unknown): boolean {
  return error instanceof DeadlineError || (error instanceof RedisReplyError && !isGroupMissing(error));
}

async function openConnection(
  options: ReaderOptions,
  state: { readonly isFirst: boolean; readonly staleClientId: number | undefined },
): Promise<StreamConnection> {
  const { redisUrl, stream, group, consumer, log } = options;
  const name = readerName(options);
  const connection = await StreamConnection.open(redisUrl, name, commandDeadlineMs);
  try {
    // Before the first read: the old connection may still be blocked in Redis and would be sent entries.
    if (state.staleClientId !== undefined) {
      await killConnectionsByName(connection, name, state.staleClientId);
    }
    if (state.isFirst) {
      const length = await streamLength(connection, stream);
      // Only at the start: two processes with one name would otherwise kill each other for ever.
      const killed = await killConnectionsByName(connection, name);
      log.info(
        { stream, exists: length !== undefined, length: length ?? 0, group, consumer, killed },
        'reading stream',
      );
    }
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
