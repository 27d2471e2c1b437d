import { withDeadline } from '@app/runtime/deadline';
import { Redis } from 'ioredis';
import {
  encodeCommand,
  RedisReplyError,
  ReplyAssembler,
  ReplyCursor,
  type ReplyValue,
} from './resp-reply.ts';

/** Reads a reply from its bytes. */
export type ReadReply<T> = (reply: ReplyCursor) => T;

/** A command of a transaction, and how its reply is read; as it came unless said otherwise. */
export interface QueuedCommand<T> {
  readonly command: string;
  readonly args: readonly (string | number)[];
  readonly read?: ReadReply<T>;
}

interface Waiting {
  readonly resolve: (reply: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One connection for reading a stream. It is never mended: an interrupted blocking read that is sent again
 * may never settle, so the client neither reconnects nor resends, and whoever doubts it opens another.
 *
 * ioredis opens it (TLS, users, databases, names); from then on the replies are read here, because its parser makes
 * a Buffer of every field of every entry.
 */
export class StreamConnection {
  readonly #redis: Redis;
  readonly #replies = new ReplyAssembler();
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;
  /** CLIENT ID in Redis: a half-open connection is killed by it from the next one. */
  readonly clientId: number;

  private constructor(redis: Redis, clientId: number) {
    this.#redis = redis;
    this.clientId = clientId;
    const { stream } = redis;
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('error', (error: Error) => this.#fail(error));
    stream.on('close', () => this.#fail(new Error('the connection to Redis is closed')));
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
      // The last command that ioredis sends here: with its answer nothing is under way.
      const clientId = await withDeadline(redis.client('ID'), deadlineMs, 'CLIENT ID');
      return new StreamConnection(redis, clientId);
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  /** The reply as Redis sent it, texts as bytes. Rejects with DeadlineError if no reply comes within `deadlineMs`. */
  async call(command: string, args: readonly (string | number)[], deadlineMs: number): Promise<ReplyValue>;
  async call<T>(
    command: string,
    args: readonly (string | number)[],
    deadlineMs: number,
    read: ReadReply<T>,
  ): Promise<T>;
  async call<T>(
    command: string,
    args: readonly (string | number)[],
    deadlineMs: number,
    read?: ReadReply<T>,
  ): Promise<T | ReplyValue> {
    const [reply = Buffer.alloc(0)] = await withDeadline(
      this.#send([encodeCommand(command, args)]),
      deadlineMs,
      command,
    );
    const cursor = new ReplyCursor(reply);
    if (read !== undefined) return read(cursor);
    return throwIfError(cursor.value());
  }

  /** Runs the commands in one MULTI and returns their replies; rejects if any of them fails. */
  async transaction<const C extends readonly QueuedCommand<unknown>[]>(
    commands: C,
    deadlineMs: number,
  ): Promise<{ [N in keyof C]: C[N] extends { readonly read: ReadReply<infer T> } ? T : ReplyValue }>;
  async transaction(
    commands: readonly QueuedCommand<unknown>[],
    deadlineMs: number,
  ): Promise<readonly unknown[]> {
    const texts = commands.map(({ command, args }) => encodeCommand(command, args));
    const sent = this.#send([encodeCommand('MULTI', []), ...texts, encodeCommand('EXEC', [])]);
    const replies = (await withDeadline(sent, deadlineMs, 'MULTI')).map((reply) => new ReplyCursor(reply));
    const cursor = replies.pop();
    // A command that Redis does not even queue says why; EXEC only says that it was not run.
    for (const queued of replies) throwIfError(queued.value());
    if (cursor === undefined || cursor.list() !== commands.length)
      throw new TypeError('Redis did not run the transaction');
    return commands.map(({ read }) => {
      if (read !== undefined) return read(cursor);
      return throwIfError(cursor.value());
    });
  }

  /** Drops the socket at once; a command in flight is rejected. */
  close(): void {
    this.#redis.disconnect();
    this.#fail(new Error('the connection to Redis is closed'));
  }

  async #send(commands: readonly string[]): Promise<readonly Buffer[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const replies = commands.map(() => {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      this.#waiting.push({ resolve, reject });
      return promise;
    });
    this.#redis.stream.write(commands.join(''));
    return await Promise.all(replies);
  }

  #take(chunk: Buffer): void {
    try {
      for (const reply of this.#replies.push(chunk)) {
        const waiting = this.#waiting.shift();
        if (waiting === undefined) throw new Error('Redis answered what was not asked');
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

function throwIfError(value: ReplyValue): ReplyValue {
  if (value instanceof RedisReplyError) throw value;
  return value;
}
