import { DeadlineError } from '@app/runtime/deadline';
import { delay, fullJitterMs } from '@app/runtime/retry';
import { ReadLimiter } from './read-limiter.ts';
import { claimIdle } from './claim-idle.ts';
import { ensureGroup, isGroupMissing, killConnectionsByName, streamLength } from './consumer-group.ts';
import type { EntryBatch } from './entry-batch.ts';
import type { EntriesReply } from './entry-reply.ts';
import { LossDetector } from './loss-detector.ts';
import type { ReaderOptions } from './reader-context.ts';
import { readNew } from './read-new.ts';
import { readPending } from './read-pending.ts';
import { StreamClient } from './stream-client.ts';
import { commandDeadlineMs, StreamConnection } from './stream-connection.ts';

const groupMissingDelayMs = 1000;
const maxRetryDelayMs = 5000;

/**
 * Reads one stream as one consumer until `stop` aborts: first its own pending entries, then idle ones of other
 * consumers, then new ones, with further claims at their interval.
 *
 * After every failure (lost connection, missed deadline) the connection is replaced, the old one is killed in Redis, and
 * own pending entries come first again: a half-open connection may have been sent entries that never arrived.
 */
export async function* readBatches(
  options: ReaderOptions,
  stop: AbortSignal,
): AsyncGenerator<EntryBatch, void, void> {
  const losses = new LossDetector();
  const readLimiter = new ReadLimiter(options.batchBytes);
  let failures = 0;
  let isFirst = true;
  let staleClientId: number | undefined;
  let nextClaimAtMs = 0;
  const noteRead = (result: string, reply: EntriesReply): void => {
    options.metrics.reads.inc({ result });
    options.metrics.records.inc(reply.entries.length);
    readLimiter.observe(reply);
    options.onProgress();
    failures = 0;
  };
  while (!stop.aborted) {
    let connection: StreamConnection | undefined;
    let retryDelayMs = 0;
    try {
      connection = await openConnection(options, { isFirst, staleClientId, failures });
      isFirst = false;
      const client = new StreamClient(connection, options);
      const context = { options, connection, client, losses, readLimiter, stop, noteRead };
      yield* readPending(context);
      while (!stop.aborted) {
        if (Date.now() >= nextClaimAtMs) {
          try {
            yield* claimIdle(context);
          } finally {
            // After the claim, and after a failed one too: slow or failing claims must not keep new entries from being read.
            nextClaimAtMs = Date.now() + options.claimIntervalMs;
          }
        }
        if (!stop.aborted) yield* readNew(context);
      }
    } catch (error) {
      failures += 1;
      const isMissing = connection !== undefined && isGroupMissing(error);
      reportFailure(options, error, isMissing, failures);
      retryDelayMs = isMissing
        ? groupMissingDelayMs
        : fullJitterMs(failures, { maxDelayMs: maxRetryDelayMs });
    } finally {
      connection?.close();
      staleClientId = connection?.clientId ?? staleClientId;
    }
    options.onProgress();
    await delay(retryDelayMs, stop).catch(() => undefined);
  }
}

async function openConnection(
  options: ReaderOptions,
  state: {
    readonly isFirst: boolean;
    readonly staleClientId: number | undefined;
    readonly failures: number;
  },
): Promise<StreamConnection> {
  const { redisUrl, stream, group, consumer, log } = options;
  const name = `${group}:${consumer}:${stream}:reader`;
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
    } else {
      log.info({ stream, failures: state.failures }, 'reader reconnected');
    }
    await ensureGroup(connection, options);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function reportFailure(
  { stream, metrics, log }: ReaderOptions,
  error: unknown,
  isMissing: boolean,
  failures: number,
): void {
  if (isMissing) {
    metrics.reads.inc({ result: 'group_missing' });
    log.error({ stream }, 'stream or consumer group missing; recreating the group at 0');
    return;
  }
  metrics.reads.inc({ result: error instanceof DeadlineError ? 'deadline' : 'error' });
  if (failures === 1) log.warn({ stream, error }, 'stream read failed; reconnecting');
}
