import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { openReader, type TestReader } from './open-reader.ts';
import { records, send } from './telemetry.ts';

/** A stream of one test, with its readers and other consumers. */
export interface TestStream {
  readonly name: string;
  readonly open: (options?: Partial<Parameters<typeof openReader>[0]>) => TestReader;
  /** Adds entries; returns their ids. */
  readonly add: (count: number) => Promise<readonly string[]>;
  /** Delivers the next `count` entries to a consumer, which does not acknowledge them. */
  readonly deliver: (consumer: string, count: number) => Promise<void>;
  /** Makes pending entries idle for an hour. */
  readonly leave: (consumer: string, ids: readonly string[]) => Promise<void>;
  /** Sets the delivery count of entries of `me`. */
  readonly redeliver: (ids: readonly string[], deliveries: number) => Promise<void>;
  /** Whether a reader of this stream is in a blocking read. */
  readonly isBlocked: () => Promise<boolean>;
  /** The last command that Redis got from a reader of this stream. */
  readonly lastCommand: () => Promise<string | undefined>;
}

export function createTestStream(
  redis: Redis,
  servers: { readonly url: string; readonly keyPrefix: string },
): TestStream {
  const name = `${servers.keyPrefix}${randomBytes(4).toString('hex')}`;
  const listReaders = async (): Promise<readonly string[]> =>
    String(await redis.client('LIST'))
      .split('\n')
      .filter((client) => client.includes(`:${name}:reader `));
  return {
    name,
    open: (options = {}) =>
      openReader({ redisUrl: servers.url, commandsUrl: servers.url, stream: name, ...options }),
    add: async (count) => (await send(redis, name, records(count))).map(({ id }) => id),
    deliver: async (consumer, count) => {
      await redis.xgroup('CREATE', name, 'processor', '0', 'MKSTREAM').catch(() => undefined);
      await redis.xreadgroup('GROUP', 'processor', consumer, 'COUNT', count, 'STREAMS', name, '>');
    },
    leave: async (consumer, ids) => {
      await redis.call('XCLAIM', name, 'processor', consumer, 0, ...ids, 'IDLE', 3_600_000, 'JUSTID');
    },
    redeliver: async (ids, deliveries) => {
      await redis.call('XCLAIM', name, 'processor', 'me', 0, ...ids, 'RETRYCOUNT', deliveries, 'JUSTID');
    },
    isBlocked: async () => (await listReaders()).some((reader) => / flags=\w*b/u.test(reader)),
    lastCommand: async () => / cmd=(\S+)/u.exec((await listReaders())[0] ?? '')?.[1],
  };
}

/** The number of reads with this result. */
export async function reads(at: TestReader, result: string): Promise<number> {
  return (await at.metric('processor_consumer_reads_total', { result })) ?? 0;
}
