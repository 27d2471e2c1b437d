import postgres from 'postgres';
import { withDeadline } from './deadline.ts';
import { delay, retry } from './retry.ts';
import { classifyPostgresError } from './postgres-error.ts';
import type { Logger } from './log.ts';

export { classifyPostgresError, sqlState } from './postgres-error.ts';
export type { PostgresErrorClass } from './postgres-error.ts';
export type { Sql } from 'postgres';

const connectTimeoutS = 5;
const probeTimeoutMs = 5_000;

/**
 * A pool of at most `maxConnections`, opened when they are needed.
 *
 * A statement given while Postgres is away rejects when the attempt to connect
 * fails, within some 6 s; retrying is the caller's. `statementTimeoutMs` is the
 * server's (0 for none): it rejects with SQLSTATE 57014. A server that swallows
 * bytes is not noticed here, so a hot path needs a deadline of its own, and a
 * new client when that is missed.
 */
export function connectPostgres(
  url: string,
  options: {
    readonly name: string;
    readonly log: Logger;
    readonly maxConnections: number;
    readonly statementTimeoutMs: number;
    /** Off behind a pooler in transaction mode that does not track prepared statements. */
    readonly prepare?: boolean;
  },
): postgres.Sql {
  return postgres(url, {
    max: options.maxConnections,
    connect_timeout: connectTimeoutS,
    idle_timeout: 300,
    keep_alive: 10,
    // The caller backs off; the driver's own wait of up to 20 s would come on top of it.
    backoff: () => Math.random() * 0.5,
    // Array parameters need the types of their elements.
    fetch_types: true,
    prepare: options.prepare ?? true,
    connection: { application_name: options.name, statement_timeout: options.statementTimeoutMs },
    onnotice: ({ severity, code, message }) => options.log.debug({ severity, code }, `postgres: ${message}`),
  });
}

/**
 * Resolves once Postgres answers a query; retries what can pass by itself for ever.
 * Rejects with the signal's reason, or with an error that no waiting will heal
 * (a wrong password, a database that does not exist).
 */
export async function waitForPostgres(
  sql: postgres.Sql,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  let isWaiting = false;
  await retry(() => withDeadline(sql`select 1`, probeTimeoutMs, 'SELECT 1 to Postgres'), {
    signal: options.signal,
    maxDelayMs: 2_000,
    isRetryable: (error) => classifyPostgresError(error) === 'transient',
    onRetry(error) {
      if (!isWaiting) {
        isWaiting = true;
        options.log.warn({ error }, 'postgres: not reachable, waiting for it');
      }
    },
  });
  if (isWaiting) {
    options.log.info('postgres: connected');
  }
}

/** Ends the pool: statements under way get `timeoutMs` (2 000 unless given), then their connections are cut. */
export async function endPostgres(
  sql: postgres.Sql,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  await sql.end({ timeout: (options.timeoutMs ?? 2_000) / 1_000 });
}

export interface PostgresHealthCheck extends AsyncDisposable {
  /** Did the last probe succeed? Answers from memory. False until the first one has. */
  isReady(): boolean;
}

/**
 * Asks Postgres `select 1` every `intervalMs` (5 000 unless given), with a
 * deadline of `timeoutMs` (2 000 unless given), until it is disposed or stopped.
 *
 * `sql` is asked for at each probe, because a client may be replaced. Give it a
 * client of its own: in the pool of a writer the probe queues behind the writes.
 */
export function createPostgresHealthCheck(options: {
  readonly sql: () => postgres.Sql;
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly log?: Logger;
}): PostgresHealthCheck {
  const { intervalMs = 5_000, timeoutMs = 2_000, log } = options;
  const disposed = new AbortController();
  const signal = AbortSignal.any([options.signal, disposed.signal]);
  let isReady = false;
  let stuck: postgres.Sql | undefined;

  async function probe(): Promise<void> {
    const sql = options.sql();
    // A probe that never came back would queue another behind it at each turn.
    if (stuck === sql) {
      return;
    }
    stuck = sql;
    try {
      const answer = sql`select 1`.then(
        () => undefined,
        (error: unknown) => {
          throw error;
        },
      );
      await withDeadline(answer, timeoutMs, 'SELECT 1 to Postgres');
      stuck = undefined;
      enter(true);
    } catch (error) {
      stuck = undefined;
      enter(false, error);
    }
  }

  function enter(next: boolean, error?: unknown): void {
    if (next !== isReady) {
      isReady = next;
      if (next) {
        log?.info('postgres: ready');
      } else {
        log?.warn({ error }, 'postgres: not ready');
      }
    }
  }

  async function probeUntilStopped(): Promise<void> {
    while (!signal.aborted) {
      await probe();
      await delay(intervalMs, signal).catch(() => undefined);
    }
  }

  const ended = probeUntilStopped();
  return {
    isReady: () => isReady,
    async [Symbol.asyncDispose]() {
      disposed.abort();
      await ended;
    },
  };
}
