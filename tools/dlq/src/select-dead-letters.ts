import { deadLetterStream, type DeadLetter, decodeDeadLetter } from '@app/processor/stream/dead-letter';
import { compareEntryIds, entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';

/** Conditions that a dead letter must meet; those left out always hold. */
export interface Selection {
  readonly ids?: ReadonlySet<string>;
  readonly entryIds?: ReadonlySet<string>;
  readonly reasons?: ReadonlySet<string>;
  readonly olderThanMs?: number;
}

/** An entry of the dead-letter stream. */
export interface StoredEntry {
  readonly id: string;
  readonly deadLetteredAtMs: number;
  /** All fields, including the cause. */
  readonly fields: readonly Buffer[];
  /** Undefined if the processor did not write the entry. */
  readonly deadLetter: DeadLetter | undefined;
}

/** A dead letter without personal data: no position, and no detail, which may quote one. */
export interface Summary {
  readonly id: string;
  readonly deadLetteredAt: string;
  readonly reason: string;
  /** Empty unless Postgres refused the row. */
  readonly sqlState: string;
  readonly entryId: string;
  readonly deliveries: number;
}

export function summarise({ id, deadLetteredAtMs, deadLetter }: StoredEntry): Summary {
  const cause = deadLetter?.cause;
  return {
    id,
    deadLetteredAt: new Date(deadLetteredAtMs).toISOString(),
    reason: cause?.dlq_reason ?? 'not_a_letter',
    sqlState: cause?.dlq_sqlstate ?? '',
    entryId: cause?.dlq_entry_id ?? '',
    deliveries: Number(cause?.dlq_deliveries ?? 0),
  };
}

const pageLength = 200;

/**
 * The selected dead letters of a stream, oldest first, read page by page. Stops at the newest one of the moment it
 * started: otherwise a replay of entries that fail again would never end.
 */
export async function* selectDeadLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
): AsyncGenerator<StoredEntry> {
  const key = deadLetterStream(stream);
  const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1);
  if (newest === undefined) return;
  const isSelected = await createFilter(redis, selection);
  const { ids } = selection;
  if (ids !== undefined) {
    for (const id of [...ids].toSorted(compareEntryIds)) {
      const entries = await redis.xrangeBuffer(key, id, id);
      yield* entries.map(toStoredEntry).filter(isSelected);
    }
    return;
  }
  for (let from = '-'; ;) {
    const page = await redis.xrangeBuffer(key, from, newest[0], 'COUNT', pageLength);
    yield* page.map(toStoredEntry).filter(isSelected);
    const last = page.at(-1);
    if (last === undefined || page.length < pageLength) return;
    from = `(${last[0].toString()}`;
  }
}

/** Redis' clock, which the ids of dead letters are based on. */
export async function redisNowMs(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

async function createFilter(redis: Redis, selection: Selection): Promise<(stored: StoredEntry) => boolean> {
  const { entryIds, reasons, olderThanMs } = selection;
  const deadLetteredBeforeMs = olderThanMs === undefined ? Infinity : (await redisNowMs(redis)) - olderThanMs;
  return (stored) => {
    const { reason, entryId } = summarise(stored);
    return (
      stored.deadLetteredAtMs < deadLetteredBeforeMs &&
      (reasons === undefined || reasons.has(reason)) &&
      (entryIds === undefined || entryIds.has(entryId))
    );
  };
}

function toStoredEntry([idBytes, fields]: readonly [Buffer, readonly Buffer[]]): StoredEntry {
  const id = idBytes.toString();
  return { id, deadLetteredAtMs: entryArrivedAtMs(id), fields, deadLetter: decodeDeadLetter(id, fields) };
}
