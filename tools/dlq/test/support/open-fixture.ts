import { deadLetterStream, encodeDeadLetter } from '@app/processor/stream/dead-letter';
import { Redis } from 'ioredis';
import { Program, runProgram } from '@app/test-kit/program';

type Ending = Awaited<ReturnType<typeof runProgram>>;

const main = new URL('../../src/main.ts', import.meta.url);

/** `./run dlq` with these arguments. */
export function dlq(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ending> {
  return runProgram({ main, args, env });
}

export interface PlantedLetter {
  readonly fields?: readonly (string | Buffer)[];
  readonly reason?: string;
  readonly sqlState?: string;
  readonly entryId?: string;
  /** The letter's own id. */
  readonly id?: string;
}

/** One stream with dead letters, and the command for it. */
export interface Desk extends AsyncDisposable {
  readonly redis: Redis;
  readonly stream: string;
  /** Parks entries as the processor does; gives the letters' ids. */
  plant(...letters: readonly PlantedLetter[]): Promise<readonly string[]>;
  run(...args: readonly string[]): Promise<Ending>;
  start(...args: readonly string[]): Program;
  /** All entries of the stream, each as hexadecimal. */
  onStream(): Promise<readonly string[]>;
  letterIds(): Promise<readonly string[]>;
}

export function openDesk(redisUrl: string, stream: string): Desk {
  const redis = new Redis(redisUrl);
  const env = { REDIS_URL: redisUrl, REDIS_TELEMETRY_STREAM: stream };
  return {
    redis,
    stream,
    plant: async (...letters) => {
      const pipeline = redis.pipeline();
      for (const {
        fields = ['payload', '{}'],
        reason = 'not_json',
        sqlState,
        entryId = '5-1',
        id = '*',
      } of letters) {
        const entry = { id: entryId, fields: fields.map((field) => Buffer.from(field)), deliveries: 2 };
        const rejected = { entry, reason, detail: 'why', ...(sqlState !== undefined && { sqlState }) };
        pipeline.xadd(
          deadLetterStream(stream),
          id,
          ...encodeDeadLetter(rejected, 'processor-1', '2026-11-25T12:00:00Z'),
        );
      }
      return ((await pipeline.exec()) ?? []).map(([, planted]) => String(planted));
    },
    run: (...args) => dlq(args, env),
    start: (...args) => new Program({ main, args, env }),
    onStream: async () => (await redis.xrangeBuffer(stream, '-', '+')).map(([, fields]) => hex(fields)),
    letterIds: async () => (await redis.xrange(deadLetterStream(stream), '-', '+')).map(([id]) => id),
    [Symbol.asyncDispose]: async () => {
      redis.disconnect();
    },
  };
}

export function hex(fields: readonly (string | Buffer)[]): string {
  return fields.map((field) => Buffer.from(field).toString('hex')).join(' ');
}
