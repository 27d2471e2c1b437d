import { DeadlineError, withDeadline } from '@app/runtime/deadline';
import { Redis } from 'ioredis';
import {
  encodeCommand,
  RedisReplyError,
  ReplyAssembler,
  ReplyCursor,
  type ReplyValue,
} from './resp-reply.ts';

/** Parses a reply. */
export type ParseReply<T> = (reply: ReplyCursor) => T;

/** Deadline of a command that does not block. */
export const commandDeadlineMs = 5000;

interface Waiting {
  readonly resolve: (reply: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One connection for reading a stream. It never reconnects or resends, because a blocking read that is sent again may
 * never be answered: after a failure, open another.
 *
 * ioredis opens it (TLS, authentication, database, name); from then on the replies are parsed here, because the parser of
 * ioredis makes a Buffer of every field of every entry.
 */
export class StreamConnection {
  readonly #redis: Redis;
  readonly #replies = new ReplyAssembler();
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;
  /** CLIENT ID; the next connection kills this one by it. */
  readonly clientId: number;

  private constructor(redis: Redis, clientId: number) {
    this.#redis = redis;
    this.clientId = clientId;
    const { stream } = redis;
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error: Error) => this.#fail(error));
    stream.on('close', () => this.#fail(new Error('the connection to Redis is closed')));
  }

  /** Rejects with the cause if Redis cannot be reached or refuses the login, or does not answer within `deadlineMs`. */
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
    // `connect` rejects with "Connection is closed", whatever the cause: a wrong password, or a port that nothing listens on.
    let cause: Error | undefined;
    redis.on('error', (error) => {
      cause = error;
    });
    try {
      await withDeadline(redis.connect(), deadlineMs, 'connecting to Redis');
      // The last command that ioredis sends: after its reply nothing is in flight.
      const clientId = await withDeadline(redis.client('ID'), deadlineMs, 'CLIENT ID');
      return new StreamConnection(redis, clientId);
    } catch (error) {
      redis.disconnect();
      throw error instanceof DeadlineError ? error : (cause ?? error);
    }
  }

  /** Without `parse` the reply has its strings as bytes. Rejects with DeadlineError if no reply comes within `deadlineMs`. */
  async call(command: string, args: readonly (string | number)[], deadlineMs: number): Promise<ReplyValue>;
  async call<T>(
    command: string,
    args: readonly (string | number)[],
    deadlineMs: number,
    parse: ParseReply<T>,
  ): Promise<T>;
  async call<T>(
    command: string,
    args: readonly (string | number)[],
    deadlineMs: number,
    parse?: ParseReply<T>,
  ): Promise<T | ReplyValue> {
    const reply = await withDeadline(this.#send(encodeCommand(command, args)), deadlineMs, command);
    const cursor = new ReplyCursor(reply);
    if (parse !== undefined) return parse(cursor);
    const value = cursor.value();
    if (value instanceof RedisReplyError) throw value;
    return value;
  }

  /** Closes the socket at once and rejects commands in flight. */
  close(): void {
    this.#redis.disconnect();
    this.#fail(new Error('the connection to Redis is closed'));
  }

  async #send(command: string): Promise<Buffer> {
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#waiting.push({ resolve, reject });
    this.#redis.stream.write(command);
    return promise;
  }

  #onData(chunk: Buffer): void {
    try {
      for (const reply of this.#replies.push(chunk)) {
        const waiting = this.#waiting.shift();
        if (waiting === undefined) throw new Error('unexpected reply from Redis');
        waiting.resolve(reply);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#redis.stream.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}
