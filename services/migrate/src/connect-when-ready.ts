import { Socket } from 'node:net';
import { messageOf } from '@app/runtime/message-of';
import { classifyPostgresError } from '@app/runtime/postgres';
import { readPostgresUrl } from '@app/runtime/postgres-url';
import { retry } from '@app/runtime/retry';
import { Client } from 'pg';
import { MigrateError } from './migrate-error.ts';

export interface PostgresConnection {
  readonly client: Client;
  [Symbol.asyncDispose](): Promise<void>;
}

const connectTimeoutMs = 5000;

/**
 * Connects, waiting up to `waitMs` for Postgres to become ready. Rejects at once on other errors, such as a wrong password
 * or database. Aborting the signal cuts the connection, even during a query.
 */
export async function connectWhenReady(
  postgresUrl: string,
  options: { readonly signal: AbortSignal; readonly log: (line: string) => void; readonly waitMs: number },
): Promise<PostgresConnection> {
  const { signal, log, waitMs } = options;
  const deadline = AbortSignal.timeout(waitMs);
  let lastError: unknown;
  try {
    return await retry(() => connectOnce(postgresUrl, signal), {
      signal: AbortSignal.any([signal, deadline]),
      isRetryable: isNotReady,
      onRetry: (error, _delayMs, attemptNumber) => {
        lastError = error;
        if (attemptNumber === 1)
          log(`Postgres is not ready (${messageOf(error)}); waiting up to ${waitMs / 1000} s`);
      },
      maxDelayMs: 1000,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted)
      throw new MigrateError(`Postgres refused the connection: ${messageOf(error)}`, { cause: error });
    throw new MigrateError(
      `Postgres is not ready after ${waitMs / 1000} s: ${messageOf(lastError ?? error)}. Check POSTGRES_URL and the server`,
      { cause: lastError ?? error },
    );
  }
}

async function connectOnce(postgresUrl: string, signal: AbortSignal): Promise<PostgresConnection> {
  // pg cannot cut a connection during a query; our own socket can.
  const socket = new Socket();
  const target = readPostgresUrl(postgresUrl);
  if ('problem' in target) throw new MigrateError(`The Postgres URL ${target.problem}`);
  const { host, port, user, password, database, connectTimeoutS, options } = target;
  const client = new Client({
    host,
    port,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    ssl: target.tls,
    sslnegotiation: target.isTlsDirect ? 'direct' : 'postgres',
    ...(options !== undefined && { options }),
    connectionTimeoutMillis: connectTimeoutS === undefined ? connectTimeoutMs : connectTimeoutS * 1000,
    application_name: target.applicationName ?? 'migrate',
    stream: () => socket,
  });
  const cut = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', cut, { once: true });
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', cut);
    if (socket.destroyed) return;
    await client.end();
  };
  // If the connection is lost between queries, the next query reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    signal.removeEventListener('abort', cut);
    socket.destroy();
    throw error;
  }
  return { client, [Symbol.asyncDispose]: close };
}

function isNotReady(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isNotReady);
  if (!(error instanceof Error)) return false;
  // Errors without a code: the server hung up or did not answer during the handshake.
  if (/timeout expired|Connection terminated/.test(error.message)) return true;
  return classifyPostgresError(error) === 'transient';
}
