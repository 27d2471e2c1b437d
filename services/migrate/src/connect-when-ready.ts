import { Socket } from 'node:net';
import { retry } from '@app/runtime/retry';
import { Client } from 'pg';
import { MigrateError } from './migrate-error.ts';

export interface PostgresConnection {
  readonly client: Client;
  [Symbol.asyncDispose](): Promise<void>;
}

const connectTimeoutMs = 5000;

/** Nothing listens yet, the name does not resolve yet (a container not started), the way is broken. */
const notThereYet: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  // Postgres is starting up, shutting down, recovering, full.
  '57P01',
  '57P02',
  '57P03',
  '53300',
]);

/**
 * Connects, and waits up to `waitMs` for a Postgres that is not there yet. Anything else, a wrong password or
 * database among it, is told at once. When the signal is aborted the connection is cut, also under a running query.
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
      isRetryable: isNotThereYet,
      onRetry: (error, _delayMs, attemptNumber) => {
        lastError = error;
        if (attemptNumber === 1)
          log(`Postgres is not there yet (${reasonOf(error)}): waiting up to ${waitMs} ms`);
      },
      maxDelayMs: 1000,
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted) throw new MigrateError(`Postgres refuses: ${reasonOf(error)}`, { cause: error });
    throw new MigrateError(
      `Postgres is not there after ${waitMs} ms: ${reasonOf(lastError ?? error)}. Check POSTGRES_URL and that it runs`,
      { cause: lastError ?? error },
    );
  }
}

async function connectOnce(postgresUrl: string, signal: AbortSignal): Promise<PostgresConnection> {
  // A socket of our own: pg has no way to cut a connection under a query.
  const socket = new Socket();
  const client = new Client({
    connectionString: postgresUrl,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'migrate',
    stream: () => socket,
  });
  const cut = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', cut, { once: true });
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', cut);
    if (socket.destroyed) return;
    // By hand, not by closing: behind a pooler the session outlives this connection.
    await client.query('reset lock_timeout; reset client_min_messages; select pg_advisory_unlock_all()');
    await client.end();
  };
  // A connection lost between two queries: the next query says so.
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

function isNotThereYet(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isNotThereYet);
  if (!(error instanceof Error)) return false;
  // What pg says without a code: the server hung up, or did not answer, in the middle of the handshake.
  if (/timeout expired|Connection terminated/.test(error.message)) return true;
  return 'code' in error && typeof error.code === 'string' && notThereYet.has(error.code);
}

/** Never the URL: it may hold a password. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error ? first.message : String(first);
}
