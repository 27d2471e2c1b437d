import { closeRedis, connectRedis } from '@app/runtime/redis';
import type { EntryBatch } from '../../src/stream/entry-batch.ts';
import { readBatches } from '../../src/stream/read-batches.ts';
import { ReadFailures } from '../../src/stream/read-failures.ts';
import type { ReaderOptions } from '../../src/stream/reader-context.ts';
import { observe, type Observed } from './observed.ts';

export interface TestReader extends Observed, AsyncDisposable {
  readonly stop: AbortController;
  readonly iterations: () => number;
  readonly failures: ReadFailures;
  /** The ids of the next batch; `undefined` at the end. */
  readonly next: () => Promise<readonly string[] | undefined>;
  readonly nextBatch: () => Promise<EntryBatch | undefined>;
  /** The ids of batches, until `entries` have been read. */
  readonly read: (entries: number) => Promise<readonly (readonly string[])[]>;
}

/** A reader of the consumer `me` in the group `processor`, with short waits. */
export function openReader(
  options: Pick<ReaderOptions, 'redisUrl' | 'stream'> &
    Partial<ReaderOptions> & { readonly commandsUrl?: string; readonly permanentErrorLimitMs?: number },
): TestReader {
  const seen = observe();
  const commands = connectRedis(options.commandsUrl ?? options.redisUrl, { name: 'commands', log: seen.log });
  const failures = new ReadFailures(options.stream, seen.metrics, seen.log, options.permanentErrorLimitMs);
  const stop = new AbortController();
  let iterations = 0;
  const readerOptions: ReaderOptions = {
    group: 'processor',
    consumer: 'me',
    commands,
    maxPerRead: 1000,
    maxPerBatch: 1000,
    batchBytes: 1024 ** 3,
    blockMs: 100,
    lingerMs: 0,
    claimIdleMs: 60_000,
    claimIntervalMs: 20,
    deleteConsumersAfterMs: 3_600_000,
    maxDeliveries: 5,
    excludedIds: () => new Set(),
    onProgress: () => {
      iterations += 1;
    },
    failures,
    metrics: seen.metrics,
    log: seen.log,
    ...options,
  };
  const batches = readBatches(readerOptions, stop.signal);
  const nextBatch = async (): Promise<EntryBatch | undefined> => {
    const { value } = await batches.next();
    return value === undefined ? undefined : value;
  };
  const next = async (): Promise<readonly string[] | undefined> => {
    const batch = await nextBatch();
    return batch?.entries.map(({ id }) => id);
  };
  return {
    ...seen,
    stop,
    iterations: () => iterations,
    failures,
    next,
    nextBatch,
    read: async (entries) => {
      const read: (readonly string[])[] = [];
      for (let count = 0; count < entries;) {
        const ids = (await next()) ?? [];
        count += ids.length;
        read.push(ids);
      }
      return read;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await batches.return();
      await closeRedis(commands);
    },
  };
}
