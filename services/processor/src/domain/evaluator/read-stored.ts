import { entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import { decodeStoredFixes, fixesField, storedStream, type StoredFix } from '../stored-fixes.ts';

const entriesPerPage = 100;

/** How far an event's stream is read. */
export interface StoredCursor {
  readonly id: string;
  /** Whether `id` was an entry when it was noted; an empty stream has none. */
  readonly isEntry: boolean;
  /** Entries ever added up to `id`. */
  readonly added: number;
}

export interface StoredEntry {
  readonly id: string;
  readonly fixes: readonly StoredFix[];
}

/** The end of the stream: what was appended before is in `positions` for whoever reads that afterwards. */
export async function noteEnd(redis: Redis, eventId: string): Promise<StoredCursor> {
  const info = await readInfo(redis, eventId);
  return { id: info.lastId, isEntry: info.length > 0, added: info.added };
}

/**
 * Reads what follows the cursor, up to `maxEntries`. `gap`: some of it may be gone (trimmed, deleted, expired, or lost in a
 * failover), or cannot be read.
 */
export async function readStored(
  redis: Redis,
  eventId: string,
  after: StoredCursor,
  maxEntries: number,
): Promise<{ readonly entries: readonly StoredEntry[]; readonly cursor: StoredCursor } | 'gap'> {
  const key = storedStream(eventId);
  // Not in MULTI, which is refused at `maxmemory`. The check comes last: entries go from the front, so if the entry read
  // last is still there, nothing after it was gone when that was read.
  const found = await redis.xrange(key, `(${after.id}`, '+', 'COUNT', maxEntries);
  if (after.isEntry) {
    if ((await redis.xrange(key, after.id, after.id)).length === 0) return 'gap';
  } else {
    const { added, length } = await readInfo(redis, eventId);
    if (added < after.added || added - length > after.added) return 'gap';
  }
  const entries: StoredEntry[] = [];
  for (const [id, fields] of found) {
    const fixes = decodeStoredFixes(fields[fields.indexOf(fixesField) + 1]);
    if (fixes === undefined) return 'gap';
    entries.push({ id, fixes });
  }
  const last = entries.at(-1);
  const cursor = last ? { id: last.id, isEntry: true, added: after.added + entries.length } : after;
  return { entries, cursor };
}

/** What the stream still holds of the last milliseconds up to the cursor, oldest first. */
export async function* readStoredBefore(
  redis: Redis,
  eventId: string,
  until: StoredCursor,
  ms: number,
): AsyncGenerator<StoredEntry> {
  let from = String(Math.max(0, entryArrivedAtMs(until.id) - ms));
  for (;;) {
    const found = await redis.xrange(storedStream(eventId), from, until.id, 'COUNT', entriesPerPage);
    for (const [id, fields] of found) {
      yield { id, fixes: decodeStoredFixes(fields[fields.indexOf(fixesField) + 1]) ?? [] };
      from = `(${id}`;
    }
    if (found.length < entriesPerPage) return;
  }
}

async function readInfo(redis: Redis, eventId: string) {
  let info: unknown;
  try {
    info = await redis.xinfo('STREAM', storedStream(eventId));
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('no such key')) throw error;
    return { lastId: '0-0', length: 0, added: 0 };
  }
  const flat: readonly unknown[] = Array.isArray(info) ? info : [];
  const field = (name: string): unknown => flat[flat.indexOf(name) + 1];
  return {
    lastId: String(field('last-generated-id')),
    length: Number(field('length')),
    added: Number(field('entries-added')),
  };
}
