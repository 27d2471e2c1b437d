import postgres from 'postgres';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { classifyPostgresError } from './postgres-error.ts';
import type { PostgresLink } from './postgres-link.ts';
import { readPostgresUrl } from './postgres-url.ts';
import { delay, retry } from './retry.ts';
import { withoutSession } from './sessionless-sql.ts';

export { classifyPostgresError, sqlState } from './postgres-error.ts';
export type { PostgresErrorClass } from './postgres-error.ts';
export type { Sql } from 'postgres';

const connectTimeoutS = 5;
// Longer than the connect timeout, whose error is more specific.
const waitProbeTimeoutMs = 10_000;

/**
 * Creates a pool of at most `maxConnections`, opened on demand.
 *
 * During an outage a statement in flight on a lost connection rejects immediately, and a new statement rejects when
 * connecting has failed, after at most 6 s. The caller retries. A statement that runs longer than `statementTimeoutMs` (0
 * for no limit) is cancelled by the server with SQLSTATE 57014.
 *
 * The driver does not notice a server that accepts and then never replies, or a proxy that accepts and disconnects: a
 * statement may never settle. Nor may one that is sent between the error and the close of its connection, and several after
 * it fail, since the driver keeps its bytes for the next connection and never sends them (`closed` in postgres.js 3.4.9). Use
 * `withDeadline`, and create a new pool after a missed deadline (see `PostgresClient`).
 */
export function connectPostgres(
  url: string,
  options: {
    readonly name: string;
    readonly log: Logger;
    readonly maxConnections: number;
    readonly statementTimeoutMs: number;
    /** Default: `direct`. */
    readonly link?: PostgresLink;
    /** Whether templates are prepared statements, which a pooler may lose between transactions. Default: true. */
    readonly isPrepared?: boolean;
  },
): postgres.Sql {
  const target = readPostgresUrl(url);
  if ('problem' in target) throw new Error(`The Postgres URL ${target.problem}`);
  const isDirect = options.link !== 'pooled';
  const { host, port, user, password, database } = target;
  // Lists, since the driver would split an IPv6 address at its colons.
  const missingInTypes: object = {
    host: [host],
    port: [port],
    sslnegotiation: target.isTlsDirect ? 'direct' : null,
  };
  const sql = postgres({
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ssl: target.tls,
    ...missingInTypes,
    max: options.maxConnections,
    connect_timeout: target.connectTimeoutS ?? connectTimeoutS,
    idle_timeout: 300,
    keep_alive: 10,
    // The caller backs off; the driver's own delay of up to 20 s would be added to it.
    backoff: () => Math.random() * 0.5,
    // The driver would fetch types on each new connection by a query whose rejection cannot be caught: a connection lost
    // during it would end the process. So array parameters are strings that the statement casts.
    fetch_types: false,
    prepare: options.isPrepared ?? true,
    // The driver leaves out a timeout of 0 and empty options.
    connection: {
      application_name: target.applicationName ?? options.name,
      statement_timeout: isDirect ? options.statementTimeoutMs : 0,
      options: target.options ?? '',
    },
    onnotice: ({ severity, code, message }) => options.log.debug({ severity, code }, `postgres: ${message}`),
  });
  return isDirect ? sql : withoutSession(sql, options.statementTimeoutMs);
}

/**
 * Resolves once `ping` does; retries forever. Rejects with the signal's reason, or with an error that retrying cannot
 * fix, such as a wrong password or a missing database.
 */
export async function waitForPostgres(
  ping: () => PromiseLike<unknown>,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  let hasWaited = false;
  await retry(() => withDeadline(ping(), waitProbeTimeoutMs, 'SELECT 1 to Postgres'), {
    signal: options.signal,
    maxDelayMs: 2_000,
    isRetryable: isTransient,
    onRetry(error) {
      if (!hasWaited) {
        hasWaited = true;
        options.log.warn({ error }, 'postgres: not reachable; retrying');
      }
    },
  }).catch((error: unknown) => {
    if (options.signal.aborted || isTransient(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Postgres, or the pooler in front of it, refuses the connection (${reason}). Correct POSTGRES_URL or its configuration`,
      { cause: error },
    );
  });
  if (hasWaited) {
    options.log.info('postgres: reachable');
  }
}

function isTransient(error: unknown): boolean {
  return classifyPostgresError(error) === 'transient';
}

/**
 * Removes the holes from a result. If a statement fails after some rows, postgres.js starts the next result on that
 * connection at the same index: in https://github.com/porsager/postgres, `rows` in `connection.js` is reset only by the
 * end of a result.
 */
export function densify<T>(result: readonly T[]): readonly T[] {
  return result.filter(() => true);
}

/** Other years toISOString and Postgres write differently, and nothing that is stored is of them. */
const firstMs = Date.parse('0001-01-01T00:00:00Z');
const lastMs = Date.parse('9999-12-31T23:59:59Z');

/**
 * A time as a parameter `$1::text::timestamptz`; beyond the years 1 to 9999 infinite. As a parameter of type timestamptz
 * postgres.js would make a Date of it, and infinity is none.
 */
export function timestampParameter(epochMs: number): string {
  if (epochMs < firstMs) return '-infinity';
  return epochMs > lastMs ? 'infinity' : new Date(epochMs).toISOString();
}

/** Ends the pool. Statements in flight get `timeoutMs` (default 2 000), then their connections are closed and they reject. */
export async function endPostgres(
  sql: postgres.Sql,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  await sql.end({ timeout: (options.timeoutMs ?? 2_000) / 1_000 });
}

export interface PostgresHealthCheck extends AsyncDisposable {
  /** Whether the last probe succeeded; false before the first one. Does not query. */
  isReady(): boolean;
}

/**
 * Calls `ping` every `intervalMs` (default 5 000) until it is disposed or the signal is aborted. Logs when the result
 * changes.
 *
 * `ping` must settle: use a `PostgresClient`, which replaces a connection that leads nowhere. Give it a pool of its own: in
 * a writer's pool probes queue behind writes.
 */
export function createPostgresHealthCheck(options: {
  readonly ping: () => PromiseLike<unknown>;
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
  readonly log?: Logger;
}): PostgresHealthCheck {
  const { ping, intervalMs = 5_000, log } = options;
  const disposed = new AbortController();
  const signal = AbortSignal.any([options.signal, disposed.signal]);
  let isReady: boolean | undefined;

  function update(isReadyNow: boolean, error?: unknown): void {
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
      await ping().then(
        () => update(true),
        (error: unknown) => update(false, error),
      );
      // Rejects only on stop, which the loop condition checks.
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
