import { createLog } from '@app/runtime/log';
import { connectPostgres, type Sql } from '@app/runtime/postgres';
import { Redis } from 'ioredis';
import type { TransactionSql } from 'postgres';

const timeoutMs = 5_000;

/** Runs statements in a transaction that can only read. */
export type Reading = <T>(act: (sql: TransactionSql) => Promise<T>) => Promise<T>;

/** In place of what cannot be read. */
export const postgresIsDown = 'not known: Postgres does not answer';

/** Connects at the first command and without retries: an operator should learn at once what does not answer. */
export function openRedis(
  url: string,
): Disposable & { readonly redis: Redis; readonly connect: () => Promise<void> } {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: 'doctor',
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
  });
  let cause: Error | undefined;
  redis.on('error', (error) => (cause = error));
  return {
    redis,
    connect: async () => {
      await redis.connect().catch((error: unknown) => {
        // The rejection only says that the connection is closed.
        throw cause ?? error;
      });
      await redis.ping();
    },
    [Symbol.dispose]: () => redis.disconnect(),
  };
}

export function openPostgres(url: string): AsyncDisposable & { readonly read: Reading } {
  const log = createLog({ service: 'doctor', instanceId: 'doctor', level: 'silent' });
  const sql: Sql = connectPostgres(url, {
    name: 'doctor',
    log,
    maxConnections: 1,
    // A pooler may refuse it when connecting.
    statementTimeoutMs: 0,
    isPrepared: false,
  });
  return {
    read: async <T>(act: (transaction: TransactionSql) => Promise<T>): Promise<T> => {
      let result: { readonly value: T } | undefined;
      await sql.begin('read only', async (transaction) => {
        await transaction.unsafe(`set local statement_timeout = ${timeoutMs}`);
        result = { value: await act(transaction) };
      });
      if (result === undefined) throw new Error('the transaction did not run');
      return result.value;
    },
    [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
  };
}
