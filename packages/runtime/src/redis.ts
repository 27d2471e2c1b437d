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

// ioredis is loaded by now.
restoreStringFastPaths();

interface Connection {
  readonly isBlocking: boolean;
  isClosing: boolean;
}

const connections = new WeakMap<Redis, Connection>();

/**
 * A Redis client that connects with its first command and reconnects for ever,
 * with jitter, every 2 s at the latest. Each change of its state is logged once.
 *
 * What a caller sees of an outage: a command in flight when the connection is
 * lost rejects at once (it may or may not have been executed, so sending it
 * again is the caller's decision); a command given while there is no connection
 * waits for the next attempt to connect and rejects if that fails. A server that
 * stays silent: the command rejects after 5 s, the connection is given up after 10 s.
 *
 * `blocking`: a connection of its own for XREAD or XREADGROUP with BLOCK. How
 * long such a command may stay silent is the reader's to know, so here it has no
 * time limit: the reader needs a deadline of its own, and a new client when it
 * is missed.
 */
export function connectRedis(
  url: string,
  options: { readonly name: string; readonly log: Logger; readonly blocking?: boolean },
): Redis {
  const connection: Connection = { isBlocking: options.blocking === true, isClosing: false };
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: options.name,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: closeTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: (attempts) => 50 + fullJitterMs(attempts, { maxDelayMs: maxReconnectDelayMs - 50 }),
    // With `null` a command in flight at a disconnect is sent again, or, without
    // resending, never settles; 0 rejects it as soon as the connection closes.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old master answers as a replica: look the address up again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(!connection.isBlocking && { commandTimeout: commandTimeoutMs, socketTimeout: 2 * commandTimeoutMs }),
  });
  connections.set(redis, connection);
  logStateChanges(redis, connection, options.log.child({ connection: options.name }));
  return redis;
}

/**
 * Resolves once Redis answers a PING, for which it tries for ever. Rejects with
 * the signal's reason, or with an answer that no waiting changes, such as a wrong password.
 */
export async function waitForRedis(redis: Redis, options: { readonly signal: AbortSignal }): Promise<void> {
  await retry(() => withDeadline(redis.ping(), connectTimeoutMs, 'PING to Redis'), {
    signal: options.signal,
    maxDelayMs: maxReconnectDelayMs,
    isRetryable: (error) => !isRefusal(error),
  });
}

/**
 * Ends the connection for good, within a second or two, and never rejects. Replies
 * under way are waited for, except on a blocking connection: its read rejects.
 */
export async function closeRedis(redis: Redis): Promise<void> {
  const connection = connections.get(redis);
  if (connection !== undefined) {
    connection.isClosing = true;
  }
  if (redis.status === 'ready' && connection?.isBlocking !== true) {
    // Whether it is answered or not, the connection ends below.
    await withDeadline(redis.quit(), closeTimeoutMs, 'QUIT to Redis').catch(() => undefined);
  }
  if (redis.status === 'end') {
    return;
  }
  const ended = once(redis, 'end');
  if (redis.status === 'reconnecting') {
    // In the pause between two attempts a disconnect only drops the timer: what
    // is queued would never settle. An attempt begun and cut at once does reject it.
    redis.connect().catch(() => undefined);
  }
  redis.disconnect();
  await withDeadline(ended, 2 * closeTimeoutMs, 'the end of the connection to Redis').catch(() => undefined);
}

// The server is there and says no: to these credentials, or to this command.
function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ReplyError' &&
    /^(?:WRONGPASS|NOAUTH|NOPERM|DENIED)\b/u.test(error.message)
  );
}

function logStateChanges(redis: Redis, connection: Connection, log: Logger): void {
  // What this outage has been reported for: attempts go on, the log does not.
  const reported = new Set<string>();
  let isReady = false;
  redis.on('ready', () => {
    isReady = true;
    reported.clear();
    log.info('redis: connected');
  });
  redis.on('error', (error: Error) => {
    const reason = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
    if (connection.isClosing || reported.has(reason)) {
      return;
    }
    reported.add(reason);
    if (isRefusal(error)) {
      log.error({ error }, 'redis: refused; check user and password in REDIS_URL. Trying again');
    } else {
      log.warn({ error }, 'redis: not reachable, trying again');
    }
  });
  redis.on('close', () => {
    if (isReady && !connection.isClosing) {
      log.warn('redis: connection lost, trying again');
    }
    isReady = false;
  });
}
