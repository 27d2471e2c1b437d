import { once } from 'node:events';
import { Redis } from 'ioredis';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import { fullJitterMs, retry } from './retry.ts';
import { restoreStringFastPaths } from './string-fast-paths.ts';

export type { Redis } from 'ioredis';

const connectTimeoutMs = 5_000;
const commandTimeoutMs = 5_000;
const closeTimeoutMs = 1_000;
const maxReconnectDelayMs = 2_000;

// Must run after ioredis is loaded.
restoreStringFastPaths();

interface ConnectionState {
  readonly isBlocking: boolean;
  isClosing: boolean;
}

const connections = new WeakMap<Redis, ConnectionState>();

/**
 * Creates a Redis client that connects with its first command and reconnects forever, with jitter and at most 2 s apart.
 * Each state change is logged once.
 *
 * During an outage a command in flight rejects immediately (it may or may not have been executed, so the caller decides
 * whether to send it again); a new command waits for the next connection attempt and rejects if that fails. If the server
 * does not respond, the command rejects after 5 s and the connection is closed after 10 s.
 *
 * `blocking` is for a dedicated connection that uses XREAD or XREADGROUP with BLOCK. It has no timeouts, because only the
 * reader knows how long a command may block: the reader needs its own deadline, and a new client after a missed one.
 */
export function connectRedis(
  url: string,
  options: { readonly name: string; readonly log: Logger; readonly blocking?: boolean },
): Redis {
  const connection: ConnectionState = { isBlocking: options.blocking === true, isClosing: false };
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: options.name,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: closeTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: (attempts) => 50 + fullJitterMs(attempts, { maxDelayMs: maxReconnectDelayMs - 50 }),
    // 0 rejects commands in flight as soon as the connection closes. With `null` they would be sent again or, without
    // autoResendUnfulfilledCommands, never settle.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old master is a replica: reconnecting resolves the address again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(!connection.isBlocking && { commandTimeout: commandTimeoutMs, socketTimeout: 2 * commandTimeoutMs }),
  });
  connections.set(redis, connection);
  logStateChanges(redis, connection, options.log.child({ connection: options.name }));
  return redis;
}

/**
 * Resolves once Redis replies to a PING, also with MISCONF; retries forever. Rejects with the signal's reason, or with an error that retrying
 * cannot fix, such as a wrong password.
 */
export async function waitForRedis(redis: Redis, options: { readonly signal: AbortSignal }): Promise<void> {
  await retry(() => withDeadline(ping(redis), connectTimeoutMs, 'PING to Redis'), {
    signal: options.signal,
    maxDelayMs: maxReconnectDelayMs,
    isRetryable: (error) => !isAccessDenied(error),
  }).catch((error: unknown) => {
    if (!(error instanceof Error) || !isAccessDenied(error)) throw error;
    throw new Error(
      `Redis denied access (${error.message}); check user and password in REDIS_URL, and the user's rights`,
      {
        cause: error,
      },
    );
  });
}

/** A Redis that cannot save its data answers PING with an error, and reads as usual. */
async function ping(redis: Redis): Promise<void> {
  try {
    await redis.ping();
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('MISCONF'))) throw error;
  }
}

/**
 * Closes the client within two seconds or so; never rejects. Waits for outstanding replies, except on a blocking
 * connection, where the read rejects.
 */
export async function closeRedis(redis: Redis): Promise<void> {
  const connection = connections.get(redis);
  if (connection !== undefined) {
    connection.isClosing = true;
  }
  if (redis.status === 'ready' && connection?.isBlocking !== true) {
    // With or without a reply, the connection is closed below.
    await withDeadline(redis.quit(), closeTimeoutMs, 'QUIT to Redis').catch(() => undefined);
  }
  if (redis.status === 'end') {
    return;
  }
  const ended = once(redis, 'end');
  if (redis.status === 'reconnecting') {
    // Between two attempts `disconnect` only clears the timer, and queued commands would never settle. Starting an attempt
    // first makes them reject.
    redis.connect().catch(() => undefined);
  }
  redis.disconnect();
  await withDeadline(ended, 2 * closeTimeoutMs, 'closing the Redis connection').catch(() => undefined);
}

/** Whether Redis denied the credentials or the command. */
function isAccessDenied(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ReplyError' &&
    /^(?:WRONGPASS|NOAUTH|NOPERM|DENIED)\b/u.test(error.message)
  );
}

function logStateChanges(redis: Redis, connection: ConnectionState, log: Logger): void {
  // Each reason is logged once per outage.
  const loggedReasons = new Set<string>();
  let isReady = false;
  redis.on('ready', () => {
    isReady = true;
    loggedReasons.clear();
    log.info('redis: connected');
  });
  redis.on('error', (error: Error) => {
    const reason = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
    if (connection.isClosing || loggedReasons.has(reason)) {
      return;
    }
    loggedReasons.add(reason);
    if (isAccessDenied(error)) {
      log.error({ error }, 'redis: access denied; check user and password in REDIS_URL; reconnecting');
    } else {
      log.warn({ error }, 'redis: not reachable; reconnecting');
    }
  });
  redis.on('close', () => {
    if (isReady && !connection.isClosing) {
      log.warn('redis: connection lost; reconnecting');
    }
    isReady = false;
  });
}
