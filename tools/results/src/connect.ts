import { createLog } from '@app/runtime/log';
import { messageOf } from '@app/runtime/message-of';
import { classifyPostgresError, connectPostgres, sqlState } from '@app/runtime/postgres';
import { PostgresClient } from '@app/runtime/postgres-client';
import type { PostgresLink } from '@app/runtime/postgres-link';
import { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import { failed, Refusal, unavailable } from './refusal.ts';

/** Of one statement. Writing all results of a large event takes seconds. */
const statementTimeoutMs = 60_000;
const redisTimeoutMs = 10_000;

/** As for a service: statements have a deadline. */
export function openPostgresClient(url: string): PostgresClient {
  return new PostgresClient((link) => connect(url, statementTimeoutMs, link), statementTimeoutMs * 1.1);
}

/** One connection, for a transaction that reads with cursors, also through a pooler. */
export function openPostgres(url: string): AsyncDisposable & { readonly sql: Sql } {
  // A pooler may refuse a timeout when connecting.
  const sql = connect(url, 0, 'direct');
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

function connect(url: string, timeoutMs: number, link: PostgresLink): Sql {
  const log = createLog({ service: 'results', instanceId: 'results', level: 'silent' });
  const given = { name: 'results', log, maxConnections: 1, isPrepared: false, link };
  return connectPostgres(url, { ...given, statementTimeoutMs: timeoutMs });
}

/** Runs statements; what Postgres refuses becomes a sentence that says what to do. @throws {Refusal} */
export async function withPostgres<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const state = sqlState(error);
    if (state === undefined && classifyPostgresError(error) !== 'transient') throw error;
    const reason = messageOf(error);
    if (state === '42P01' || state === '42703') {
      const todo = 'run ./run directus-setup, then ./run migrate';
      throw new Refusal(`Postgres lacks a table or column: ${reason}; ${todo}`, failed, { cause: error });
    }
    if (state === '42501') {
      const todo = 'use the login of the migrations in POSTGRES_URL';
      throw new Refusal(`Postgres refuses it: ${reason}; ${todo}`, failed, { cause: error });
    }
    if (classifyPostgresError(error) === 'transient') {
      const todo = 'check POSTGRES_URL and run the command again';
      throw new Refusal(`Postgres does not answer: ${reason}; ${todo}`, unavailable, { cause: error });
    }
    throw new Refusal(`Postgres refuses it: ${reason}`, failed, { cause: error });
  }
}

/** Connects without retries: an operator should learn at once what does not answer. */
export function openRedis(url: string): Disposable & { readonly redis: Redis } {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: 'results',
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: redisTimeoutMs,
    commandTimeout: redisTimeoutMs,
  });
  // The command that fails rejects.
  redis.on('error', () => undefined);
  return { redis, [Symbol.dispose]: () => redis.disconnect() };
}
