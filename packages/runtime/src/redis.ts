import { Redis } from 'ioredis';
import { fullJitterMs, retry } from './retry.ts';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';

export type { Redis } from 'ioredis';

const connectTimeoutMs = 5_000;
const commandTimeoutMs = 5_000;
const quitTimeoutMs = 1_000;
const maxReconnectDelayMs = 2_000;

/**
 * A Redis client that connects with its first command and reconnects for ever,
 * with jitter, at least every 2 s. Each change of its state is logged once.
 *
 * What a caller sees of an outage: a command in flight when the connection is
 * lost rejects at once (it may or may not have been executed, so resending is
 * the caller's decision); a command given while there is no connection waits
 * for the attempt under way and rejects if that fails. A silent server rejects
 * a command after 5 s and loses its connection after 10 s.
 *
 * `blocking`: for a connection of its own that runs XREAD or XREADGROUP with
 * BLOCK. The client cannot know how long such a command may be silent, so it
 * sets no time limit: the reader needs a deadline of its own, and a new client
 * when it is missed.
 */
export function connectRedis(
  url: string,
  options: { readonly name: string; readonly log: Logger; readonly blocking?: boolean },
): Redis {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: options.name,
    connectTimeout: connectTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: (attempts) => 50 + fullJitterMs(attempts, { maxDelayMs: maxReconnectDelayMs - 50 }),
    // With `null` a command in flight at a disconnect is either sent again or,
    // without resending, never settles; 0 rejects it when the connection closes.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old master answers as a replica: look the address up again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(options.blocking !== true && {
      commandTimeout: commandTimeoutMs,
      socketTimeout: 2 * commandTimeoutMs,
    }),
  });
  logStateChanges(redis, options.log.child({ connection: options.name }));
  return redis;
}

/** Resolves once Redis answers a PING; retries for ever. Rejects with the signal's reason. */
export async function waitForRedis(redis: Redis, options: { readonly signal: AbortSignal }): Promise<void> {
  await retry(() => withDeadline(redis.ping(), connectTimeoutMs, 'PING to Redis'), {
    signal: options.signal,
    maxDelayMs: maxReconnectDelayMs,
  });
}

/** Ends the connection: replies under way are waited for, for a second at most. Never rejects. */
export async function closeRedis(redis: Redis): Promise<void> {
  if (redis.status === 'ready') {
    try {
      await withDeadline(redis.quit(), quitTimeoutMs, 'QUIT to Redis');
    } catch {
      // Lost or silent: there is nothing left to be polite to.
    }
  }
  redis.disconnect();
}

function logStateChanges(redis: Redis, log: Logger): void {
  let state = '';
  function enter(next: string, report: () => void): void {
    if (next !== state) {
      state = next;
      report();
    }
  }
  redis.on('ready', () => enter('ready', () => log.info('redis: connected')));
  redis.on('error', (error: Error) => {
    const reason = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
    enter(reason, () => log.warn({ error }, `redis: not reachable (${reason}), trying again`));
  });
  redis.on('close', () => {
    if (state === 'ready') {
      enter('closed', () => log.warn('redis: connection lost, trying again'));
    }
  });
}
