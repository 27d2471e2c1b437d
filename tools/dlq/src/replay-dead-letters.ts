import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetterStream, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { type Selection, selectDeadLetters } from './select-dead-letters.ts';

export interface Replayed {
  readonly stream: string;
  readonly replayed: number;
  /** Replayed, purged or trimmed by someone else just before. */
  readonly gone: number;
  /** Ids of entries that the processor did not write. They stay: which of their fields were original is unknown. */
  readonly notLetters: readonly string[];
}

export interface ReplayOptions {
  readonly redis: Redis;
  readonly stream: string;
  readonly selection: Selection;
  readonly perSecond: number;
  readonly signal: AbortSignal;
}

// Adds the original fields and deletes the dead letter atomically, so that a crash or a concurrent replay leaves the
// entry in exactly one stream. XADD comes first: if Redis refuses it, the script ends. Lua's stack holds some 8,000
// values; wider entries are left to `moveInTwoSteps`. The last 14 values are the 7 fields of the cause.
const moveScript = `
  local fields = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
  if not fields[1] then return 'gone' end
  fields = fields[1][2]
  local last = #fields - 14
  if last > 7000 then return 'wide' end
  redis.call('XADD', KEYS[2], '*', unpack(fields, 1, last))
  redis.call('XDEL', KEYS[1], ARGV[1])
  return 'moved'`;

const maxBatchLength = 50;

type Move = (id: string) => Promise<'moved' | 'gone'>;

/**
 * Moves dead letters back to their stream with the original fields and new ids. An entry that is stored already changes
 * nothing. One that fails again becomes one new dead letter, which this replay does not touch.
 */
export async function replayDeadLetters(options: ReplayOptions): Promise<Replayed> {
  const { redis, stream, selection, perSecond, signal } = options;
  const startedAtMs = performance.now();
  const notLetters: string[] = [];
  let replayed = 0;
  let gone = 0;
  let ids: string[] = [];
  const move = createMove(redis, stream);
  const flush = async (): Promise<void> => {
    for (const outcome of await Promise.all(ids.map(move))) {
      if (outcome === 'moved') replayed += 1;
      else gone += 1;
    }
    ids = [];
    // The stream is trimmed by length: adding old entries too fast would trim new, unread ones.
    const dueAtMs = startedAtMs + (replayed / perSecond) * 1000;
    const aheadMs = dueAtMs - performance.now();
    if (aheadMs > 0) await sleep(aheadMs, undefined, { signal }).catch(() => undefined);
  };
  const batchLength = Math.min(maxBatchLength, perSecond);
  for await (const { id, deadLetter } of selectDeadLetters(redis, stream, selection)) {
    if (signal.aborted) break;
    // XADD needs at least one field.
    if (deadLetter === undefined || deadLetter.fields.length === 0) notLetters.push(id);
    else ids.push(id);
    if (ids.length >= batchLength) await flush();
  }
  if (!signal.aborted) await flush();
  return { stream, replayed, gone, notLetters };
}

function createMove(redis: Redis, stream: string): Move {
  const from = deadLetterStream(stream);
  let canUseScript = true;
  return async (id) => {
    if (canUseScript) {
      try {
        const outcome = await redis.eval(moveScript, 2, from, stream, id);
        if (outcome === 'moved' || outcome === 'gone') return outcome;
      } catch (error) {
        // In Redis Cluster, keys without a common hash tag are in different slots.
        if (!(error instanceof Error) || !error.message.startsWith('CROSSSLOT')) throw error;
        canUseScript = false;
      }
    }
    return await moveInTwoSteps(redis, from, stream, id);
  };
}

/** A crash between the steps leaves the entry in both streams; replaying it again inserts a duplicate, which is ignored. */
async function moveInTwoSteps(
  redis: Redis,
  from: string,
  stream: string,
  id: string,
): Promise<'moved' | 'gone'> {
  const [entry] = await redis.xrangeBuffer(from, id, id);
  const deadLetter = entry && decodeDeadLetter(id, entry[1]);
  if (deadLetter === undefined) return 'gone';
  await redis.xadd(stream, '*', ...deadLetter.fields);
  await redis.xdel(from, id);
  return 'moved';
}
