import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetterStream, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { type Selection, selectLetters } from './select-letters.ts';

export interface Replayed {
  readonly stream: string;
  readonly replayed: number;
  /** Taken by another replay or purge, or trimmed, in the moment before. */
  readonly gone: number;
  /** What the processor did not write stays where it is: nobody knows which of its fields were sent. */
  readonly notLetters: readonly string[];
}

export interface ReplayOptions {
  readonly redis: Redis;
  readonly stream: string;
  readonly selection: Selection;
  readonly perSecond: number;
  readonly signal: AbortSignal;
}

// Adds the original fields and deletes the letter in one step: whoever dies in the middle and whoever else replays
// at the same time, a letter is in one of the two places. Written before deleted: a refused XADD ends the script.
// Lua's stack holds some 8,000 values; a wider entry, and the cause's 7 fields at the end, are left to `moveInTwo`.
const moveScript = `
  local fields = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
  if not fields[1] then return 'gone' end
  fields = fields[1][2]
  local last = #fields - 14
  if last > 7000 then return 'wide' end
  redis.call('XADD', KEYS[2], '*', unpack(fields, 1, last))
  redis.call('XDEL', KEYS[1], ARGV[1])
  return 'moved'`;

const lettersInOneGo = 50;

type Move = (id: string) => Promise<'moved' | 'gone'>;

/**
 * Puts letters back on their stream as they were sent, under new ids, and out of the dead letters. What is stored by
 * now is a duplicate and changes nothing; what fails again comes back as one letter, which this replay leaves alone.
 */
export async function replayLetters(options: ReplayOptions): Promise<Replayed> {
  const { redis, stream, selection, perSecond, signal } = options;
  const startedAtMs = performance.now();
  const notLetters: string[] = [];
  let replayed = 0;
  let gone = 0;
  let ids: string[] = [];
  const move = mover(redis, stream);
  const flush = async (): Promise<void> => {
    for (const outcome of await Promise.all(ids.map(move))) {
      if (outcome === 'moved') replayed += 1;
      else gone += 1;
    }
    ids = [];
    // The producer trims the stream to a length: a flood of old entries would push out new ones, unread.
    const dueAtMs = startedAtMs + (replayed / perSecond) * 1000;
    const aheadMs = dueAtMs - performance.now();
    if (aheadMs > 0) await sleep(aheadMs, undefined, { signal }).catch(() => undefined);
  };
  const inOneGo = Math.min(lettersInOneGo, perSecond);
  for await (const { id, letter } of selectLetters(redis, stream, selection)) {
    if (signal.aborted) break;
    // Redis has no entry without a field.
    if (letter === undefined || letter.fields.length === 0) notLetters.push(id);
    else ids.push(id);
    if (ids.length >= inOneGo) await flush();
  }
  if (!signal.aborted) await flush();
  return { stream, replayed, gone, notLetters };
}

function mover(redis: Redis, stream: string): Move {
  const from = deadLetterStream(stream);
  let canUseScript = true;
  return async (id) => {
    if (canUseScript) {
      try {
        const outcome = await redis.eval(moveScript, 2, from, stream, id);
        if (outcome === 'moved' || outcome === 'gone') return outcome;
      } catch (error) {
        // Redis Cluster, where the keys have no common hash tag such as {00}: no command may touch both.
        if (!(error instanceof Error) || !error.message.startsWith('CROSSSLOT')) throw error;
        canUseScript = false;
      }
    }
    return await moveInTwo(redis, from, stream, id);
  };
}

// A death between the two leaves the letter in both places: replayed once more it is a duplicate.
async function moveInTwo(redis: Redis, from: string, stream: string, id: string): Promise<'moved' | 'gone'> {
  const [entry] = await redis.xrangeBuffer(from, id, id);
  const letter = entry && decodeDeadLetter(id, entry[1]);
  if (letter === undefined) return 'gone';
  await redis.xadd(stream, '*', ...letter.fields);
  await redis.xdel(from, id);
  return 'moved';
}
