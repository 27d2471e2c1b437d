import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFields } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import type { TimedBadRecord } from './corrupt-record.ts';
import { Tally } from './tally.ts';
import type { TimedRecord } from './timed-record.ts';

export interface FeedOptions {
  readonly redis: Redis;
  readonly stream: string;
  /** In order of sending. */
  readonly records: Iterable<TimedRecord | TimedBadRecord>;
  readonly signal: AbortSignal;
  /** Factor by which the race is sent faster than real time. Default 1; Infinity sends as fast as Redis accepts. */
  readonly speed?: number;
  /** MAXLEN ~ of the stream; unread entries are trimmed too. Default 1,000,000. */
  readonly maxLength?: number;
  /** Pass one to read the counts while the feed runs. */
  readonly tally?: Tally;
}

/** Maximum entries per pipeline: amortises the round trip without delaying due records. */
const pipelineLength = 500;

/**
 * Adds the records to a stream, each when it is due or, if Redis is slow, as soon as possible. Counts a record once Redis
 * has confirmed it. Ends after the last record, or without an error when the signal is aborted.
 *
 * @throws the first error of Redis; it is then unknown which records of the last pipeline were added.
 */
export async function feed(options: FeedOptions): Promise<Tally> {
  const { records, signal, speed = 1, tally = new Tally() } = options;
  const startedAtMs = Date.now();
  let firstAtMs: number | undefined;
  let pipeline: (TimedRecord | TimedBadRecord)[] = [];

  for (const timed of records) {
    firstAtMs ??= timed.sendAtMs;
    // In real time `sendAtMs` is wall-clock time; at other speeds only the differences matter.
    const dueAtMs = speed === 1 ? timed.sendAtMs : startedAtMs + (timed.sendAtMs - firstAtMs) / speed;

    const isEarly = dueAtMs > Date.now();
    if (pipeline.length >= pipelineLength || isEarly) {
      await send(options, pipeline, tally);
      pipeline = [];
    }
    if (isEarly) await waitUntil(dueAtMs, signal);
    if (signal.aborted) break;
    pipeline.push(timed);
  }
  await send(options, pipeline, tally);
  return tally;
}

async function send(
  { redis, stream, maxLength = 1_000_000 }: FeedOptions,
  records: readonly (TimedRecord | TimedBadRecord)[],
  tally: Tally,
): Promise<void> {
  if (records.length === 0) return;
  const pipeline = redis.pipeline();
  const all = records.map((timed) => ({ timed, fields: fieldsOf(timed) }));
  for (const { fields } of all) pipeline.xadd(stream, 'MAXLEN', '~', maxLength, '*', ...fields);

  const replies = (await pipeline.exec()) ?? [];
  for (const [index, { timed, fields }] of all.entries()) {
    const [error] = replies[index] ?? [new Error('Redis did not answer')];
    if (error !== null) throw new Error(`could not add a record to ${stream}`, { cause: error });
    if ('record' in timed) {
      const { deviceId, fixAtMs } = timed.record.position;
      tally.countRecord(deviceId, fixAtMs, String(fields.at(-1)));
    } else {
      tally.countBad();
    }
  }
}

function fieldsOf(timed: TimedRecord | TimedBadRecord): readonly (string | Buffer)[] {
  return 'record' in timed ? encodeFields(timed.record) : timed.bad.fields;
}

async function waitUntil(dueAtMs: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = dueAtMs - Date.now(); leftMs > 0 && !signal.aborted; leftMs = dueAtMs - Date.now()) {
    try {
      await sleep(leftMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
