import { deadLetterStream, type DeadLetter, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import { compareEntryIds, entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';

/** Which letters; conditions that are not there hold for each of them. */
export interface Selection {
  readonly ids?: ReadonlySet<string>;
  readonly entryIds?: ReadonlySet<string>;
  readonly reasons?: ReadonlySet<string>;
  readonly olderThanMs?: number;
}

/** An entry among the dead letters. */
export interface StoredLetter {
  readonly id: string;
  readonly parkedAtMs: number;
  /** All of its fields, the cause among them. */
  readonly fields: readonly Buffer[];
  /** Undefined where the processor did not write it. */
  readonly letter: DeadLetter | undefined;
}

/** The reason of what stands among the dead letters and is none. */
const notALetter = 'not_a_letter';

export function reasonOf({ letter }: StoredLetter): string {
  return letter?.cause.dlq_reason ?? notALetter;
}

const pageLength = 200;

/**
 * The letters of a stream that the selection names, the oldest first, a page in memory at a time. Those parked after
 * it began are left out: of a replay that fails again it would never see the end.
 */
export async function* selectLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
): AsyncGenerator<StoredLetter> {
  const key = deadLetterStream(stream);
  const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1);
  if (newest === undefined) return;
  const isWanted = await selects(redis, selection);
  const { ids } = selection;
  if (ids !== undefined) {
    for (const id of [...ids].toSorted(compareEntryIds)) {
      for (const entry of await redis.xrangeBuffer(key, id, id)) {
        const stored = readStored(entry);
        if (isWanted(stored)) yield stored;
      }
    }
    return;
  }
  for (let from = '-'; ;) {
    const page = await redis.xrangeBuffer(key, from, newest[0], 'COUNT', pageLength);
    for (const entry of page) {
      const stored = readStored(entry);
      if (isWanted(stored)) yield stored;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageLength) return;
    from = `(${last[0].toString()}`;
  }
}

/** Redis' clock: the ids of letters are of it, and the machine that asks may go wrong. */
export async function redisNowMs(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

async function selects(redis: Redis, selection: Selection): Promise<(stored: StoredLetter) => boolean> {
  const { entryIds, reasons, olderThanMs } = selection;
  const parkedBeforeMs = olderThanMs === undefined ? Infinity : (await redisNowMs(redis)) - olderThanMs;
  return (stored) =>
    stored.parkedAtMs < parkedBeforeMs &&
    (reasons === undefined || reasons.has(reasonOf(stored))) &&
    (entryIds === undefined || entryIds.has(stored.letter?.cause.dlq_entry_id ?? ''));
}

function readStored([idBytes, fields]: readonly [Buffer, readonly Buffer[]]): StoredLetter {
  const id = idBytes.toString();
  return { id, parkedAtMs: entryArrivedAtMs(id), fields, letter: decodeDeadLetter(id, fields) };
}
