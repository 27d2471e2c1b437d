import { withDeadline } from '@app/runtime/deadline';
import { Redis } from 'ioredis';

/**
 * One connection for blocking reads. It is never mended: an interrupted blocking read that is sent again
 * may never settle, so the client neither reconnects nor resends, and whoever doubts it opens another.
 */
export class StreamConnection {
  readonly #redis: Redis;
  /** CLIENT ID in Redis: a half-open connection is killed by it from the next one. */
  readonly clientId: number;

  private constructor(redis: Redis, clientId: number) {
    this.#redis = redis;
    this.clientId = clientId;
  }

  /** Rejects if Redis does not answer within `deadlineMs`. */
  static async open(url: string, name: string, deadlineMs: number): Promise<StreamConnection> {
    const redis = new Redis(url, {
      connectionName: name,
      protocol: 2,
      lazyConnect: true,
      connectTimeout: deadlineMs,
      retryStrategy: null,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    });
    // The command in flight is rejected with the same error; without a listener the process would end.
    redis.on('error', () => undefined);
    try {
      await withDeadline(redis.connect(), deadlineMs, 'connecting to Redis');
      const clientId = await withDeadline(redis.client('ID'), deadlineMs, 'CLIENT ID');
      return new StreamConnection(redis, clientId);
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  /** The reply as Redis sent it, texts as bytes. Rejects with DeadlineError if no reply comes within `deadlineMs`. */
  async call(command: string, args: readonly (string | number)[], deadlineMs: number): Promise<unknown> {
    return withDeadline(this.#redis.callBuffer(command, [...args]), deadlineMs, command);
  }

  /** Runs the commands in one MULTI and returns their replies; rejects if any of them fails. */
  async transaction(
    commands: readonly (readonly [string, ...(string | number)[]])[],
    deadlineMs: number,
  ): Promise<readonly unknown[]> {
    const multi = this.#redis.multi();
    for (const [command, ...args] of commands) multi.callBuffer(command, ...args);
    const results = await withDeadline(multi.exec(), deadlineMs, 'MULTI');
    return (results ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
  }

  /** Drops the socket at once; a command in flight is rejected. */
  close(): void {
    this.#redis.disconnect();
  }
}
