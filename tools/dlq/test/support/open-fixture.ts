import { deadLetterStream, encodeDeadLetter } from '@app/processor/stream/dead-letter';
import { Redis } from 'ioredis';
import { Program, runProgram } from '@app/test-kit/program';

type Ending = Awaited<ReturnType<typeof runProgram>>;

const main = new URL('../../src/main.ts', import.meta.url);

/** `./run dlq` with these arguments. */
export function dlq(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ending> {
  return runProgram({ main, args, env });
}

export interface TestDeadLetter {
  readonly fields?: readonly (string | Buffer)[];
  readonly reason?: string;
  readonly sqlState?: string;
  readonly entryId?: string;
  /** Id of the dead letter. */
  readonly id?: string;
}

/** A stream with dead letters, and the dlq command on it. */
export interface Fixture extends AsyncDisposable {
  readonly redis: Redis;
  readonly stream: string;
  readonly env: Readonly<Record<string, string>>;
  /** Adds dead letters as the processor does; returns their ids. */
  add(...deadLetters: readonly TestDeadLetter[]): Promise<readonly string[]>;
  run(...args: readonly string[]): Promise<Ending>;
  start(...args: readonly string[]): Program;
  /** Fields of all entries of the stream, in hexadecimal. */
  streamEntries(): Promise<readonly string[]>;
  deadLetterIds(): Promise<readonly string[]>;
}

export function openFixture(redisUrl: string, stream: string): Fixture {
  const redis = new Redis(redisUrl);
  const env = { REDIS_URL: redisUrl, REDIS_TELEMETRY_STREAM: stream };
  return {
    redis,
    stream,
    env,
    add: async (...deadLetters) => {
      const pipeline = redis.pipeline();
      for (const {
        fields = ['payload', '{}'],
        reason = 'not_json',
        sqlState,
        entryId = '5-1',
        id = '*',
      } of deadLetters) {
        const entry = { id: entryId, fields: fields.map((field) => Buffer.from(field)), deliveries: 2 };
        const rejected = { entry, reason, detail: 'why', ...(sqlState !== undefined && { sqlState }) };
        pipeline.xadd(
          deadLetterStream(stream),
          id,
          ...encodeDeadLetter(rejected, 'processor-1', '2026-11-25T12:00:00Z'),
        );
      }
      return ((await pipeline.exec()) ?? []).map(([, id]) => String(id));
    },
    run: (...args) => dlq(args, env),
    start: (...args) => new Program({ main, args, env }),
    streamEntries: async () => (await redis.xrangeBuffer(stream, '-', '+')).map(([, fields]) => hex(fields)),
    deadLetterIds: async () => (await redis.xrange(deadLetterStream(stream), '-', '+')).map(([id]) => id),
    [Symbol.asyncDispose]: async () => {
      redis.disconnect();
    },
  };
}

export function hex(fields: readonly (string | Buffer)[]): string {
  return fields.map((field) => Buffer.from(field).toString('hex')).join(' ');
}
