import postgres from 'postgres';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { classifyPostgresError } from './postgres-error.ts';
import { delay, retry } from './retry.ts';

export { classifyPostgresError, sqlState } from './postgres-error.ts';
export type { PostgresErrorClass } from './postgres-error.ts';
export type { Sql } from 'postgres';

const connectTimeoutS = 5;
// Longer than connecting may take, so that its own error comes first.
const waitProbeTimeoutMs = 10_000;

/**
 * A pool of at most `maxConnections`, each opened when it is first needed.
 *
 * What a caller sees of an outage: a statement in flight on a lost connection
 * rejects at once; a statement given while Postgres is away rejects when the
 * attempt to connect has failed, after 6 s at the latest. Retrying is the
 * caller's. A statement that runs longer than `statementTimeoutMs` (0 for no
 * limit) is ended by the server with SQLSTATE 57014.
 *
 * A server that accepts and then stays silent, or a proxy that accepts and
 * hangs up, is not noticed by the driver: a statement may never settle. Put
 * `withDeadline` around it, and after a missed one make a new client.
 */
export function connectPostgres(
  url: string,
  options: {
    readonly name: string;
    readonly log: Logger;
    readonly maxConnections: number;
    readonly statementTimeoutMs: number;
    /** False behind a pooler in transaction mode that does not know prepared statements. */
    readonly prepare?: boolean;
  },
): postgres.Sql {
  return postgres(url, {
    max: options.maxConnections,
    connect_timeout: connectTimeoutS,
    idle_timeout: 300,
    keep_alive: 10,
    // The caller backs off; the driver's own pause of up to 20 s would come on top.
    backoff: () => Math.random() * 0.5,
    // The driver would ask each new connection for them in a query of its own, whose failure nobody can catch: a
    // connection lost in that moment ended the process. So an array parameter is a text that the statement casts.
    fetch_types: false,
    prepare: options.prepare ?? true,
    connection: { application_name: options.name, statement_timeout: options.statementTimeoutMs },
    onnotice: ({ severity, code, message }) => options.log.debug({ severity, code }, `postgres: ${message}`),
  });
}

/**
 * Resolves once Postgres answers, for which it tries for ever. Rejects with the
 * signal's reason, or with an answer that no waiting changes, such as a wrong
 * password or a database that does not exist.
 */
export async function waitForPostgres(
  sql: postgres.Sql,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  let hasWaited = false;
  await retry(() => probe(sql, waitProbeTimeoutMs), {
    signal: options.signal,
    maxDelayMs: 2_000,
    isRetryable: (error) => classifyPostgresError(error) === 'transient',
    onRetry(error) {
      if (!hasWaited) {
        hasWaited = true;
        options.log.warn({ error }, 'postgres: not reachable, waiting for it');
      }
    },
  });
  if (hasWaited) {
    options.log.info('postgres: answers');
  }
}

/**
 * The rows of an answer. After a connection was lost in the middle of one, postgres.js begins the next one on it behind
 * as many holes: https://github.com/porsager/postgres, `rows` in `connection.js` is set back by the end of an answer only.
 */
export function densify<T>(answer: readonly T[]): readonly T[] {
  return answer.filter(() => true);
}

/**
 * Ends the pool for good: statements under way get `timeoutMs` (2 000 unless
 * given), then their connections are cut and they reject. 0 does not wait.
 */
export async function endPostgres(
  sql: postgres.Sql,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  await sql.end({ timeout: (options.timeoutMs ?? 2_000) / 1_000 });
}

export interface PostgresHealthCheck extends AsyncDisposable {
  /** Did the last probe succeed? From memory, without a query; false until the first one has. */
  isReady(): boolean;
}

/**
 * Asks Postgres `select 1` every `intervalMs` (5 000 unless given), each time
 * with `timeoutMs` (2 000 unless given) to answer, until it is disposed or the
 * signal is aborted. Logs when the answer changes.
 *
 * `sql` is asked for at each probe, because a client may be replaced. It should
 * be a client of its own: in a writer's pool the probe waits behind the writes.
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
  let isReady: boolean | undefined;

  function note(isReadyNow: boolean, error?: unknown): void {
    if (isReadyNow === isReady || signal.aborted) {
      return;
    }
    isReady = isReadyNow;
    if (isReadyNow) {
      log?.info('postgres: ready');
    } else {
      log?.warn({ error }, 'postgres: not ready');
    }
  }

  async function probeUntilStopped(): Promise<void> {
    while (!signal.aborted) {
      await probe(options.sql(), timeoutMs).then(
        () => note(true),
        (error: unknown) => note(false, error),
      );
      // The one thing it can reject with is the stop, which the loop sees.
      await delay(intervalMs, signal).catch(() => undefined);
    }
  }

  const ended = probeUntilStopped();
  return {
    isReady: () => isReady === true,
    async [Symbol.asyncDispose]() {
      disposed.abort();
      await ended;
    },
  };
}

const probes = new WeakMap<postgres.Sql, Promise<unknown>>();

/**
 * Rejects when `select 1` fails or is not answered in time. A client that does
 * not answer is not asked again before it has: its queue would grow for as long
 * as the outage lasts.
 */
async function probe(sql: postgres.Sql, timeoutMs: number): Promise<void> {
  const answer = probes.get(sql) ?? Promise.resolve(sql`select 1`);
  probes.set(sql, answer);
  const forget = (): void => void probes.delete(sql);
  answer.then(forget, forget);
  await withDeadline(answer, timeoutMs, 'SELECT 1 to Postgres');
}
