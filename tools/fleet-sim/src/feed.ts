import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFields } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import type { BadSending } from './garbage.ts';
import type { Sending } from './race.ts';
import { Tally } from './tally.ts';

export interface FeedOptions {
  readonly redis: Redis;
  readonly stream: string;
  /** In sending order. */
  readonly sendings: Iterable<Sending | BadSending>;
  readonly signal: AbortSignal;
  /** How much faster than its own clock the race is sent. Default 1; Infinity: as fast as Redis takes it. */
  readonly speed?: number;
  /** About where the stream is trimmed. What nobody has read yet is trimmed with the rest. Default 1,000,000. */
  readonly maxLength?: number;
  /** Given to watch the counts while the feed runs. */
  readonly tally?: Tally;
  readonly now?: () => number;
}

/** Entries in one pipeline: enough to amortise the round trip, few enough to stay in pace. */
const pipelineLength = 500;

/**
 * Adds the records to a stream, each at its moment or, where Redis was slower, as
 * soon as may be. A record is counted when Redis has answered for it. Ends when
 * there are no more, or when the signal says so: that is no error, what was sent is sent.
 *
 * @throws the first error of Redis. What of the last pipeline it still took is then unknown.
 */
export async function feed(options: FeedOptions): Promise<Tally> {
  const { sendings, signal, speed = 1, tally = new Tally(), now = Date.now } = options;
  const beganAtMs = now();
  let firstAtMs: number | undefined;
  let pipeline: (Sending | BadSending)[] = [];

  for (const sending of sendings) {
    firstAtMs ??= sending.sendAtMs;
    // In real time the stamps mean the clock on the wall; otherwise only their distances count.
    const dueAtMs = speed === 1 ? sending.sendAtMs : beganAtMs + (sending.sendAtMs - firstAtMs) / speed;

    const isEarly = dueAtMs > now();
    if (pipeline.length >= pipelineLength || isEarly) {
      await send(options, pipeline, tally);
      pipeline = [];
    }
    if (isEarly) await reach(dueAtMs, now, signal);
    if (signal.aborted) break;
    pipeline.push(sending);
  }
  await send(options, pipeline, tally);
  return tally;
}

async function send(
  { redis, stream, maxLength = 1_000_000 }: FeedOptions,
  sendings: readonly (Sending | BadSending)[],
  tally: Tally,
): Promise<void> {
  if (sendings.length === 0) return;
  const pipeline = redis.pipeline();
  const all = sendings.map((sending) => ({ sending, fields: fieldsOf(sending) }));
  for (const { fields } of all) pipeline.xadd(stream, 'MAXLEN', '~', maxLength, '*', ...fields);

  const replies = (await pipeline.exec()) ?? [];
  for (const [index, { sending, fields }] of all.entries()) {
    const [error] = replies[index] ?? [new Error('Redis gave no answer')];
    if (error !== null) throw new Error(`could not add a record to ${stream}`, { cause: error });
    if ('record' in sending) {
      const { deviceId, fixAtMs } = sending.record.position;
      tally.countRecord(deviceId, fixAtMs, String(fields.at(-1)));
    } else {
      tally.countBad();
    }
  }
}

function fieldsOf(sending: Sending | BadSending): readonly (string | Buffer)[] {
  return 'record' in sending ? encodeFields(sending.record) : sending.bad.fields;
}

async function reach(dueAtMs: number, now: () => number, signal: AbortSignal): Promise<void> {
  for (let leftMs = dueAtMs - now(); leftMs > 0 && !signal.aborted; leftMs = dueAtMs - now()) {
    try {
      await sleep(leftMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
