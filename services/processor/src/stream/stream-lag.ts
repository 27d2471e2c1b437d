import { compareEntryIds, entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import { deadLetterStream } from './dead-letter.ts';

/** An id may be this much ahead of Redis' clock, which is adjusted in small steps, and still count as now. */
const aheadToleranceMs = 1000;

/** The lag of a group on one stream, at one moment of Redis' clock. */
export interface StreamLag {
  /** The moment, in epoch ms. */
  readonly atMs: number;
  /** Entries not yet delivered; undefined if Redis does not know (after XDEL, or if the group was created inside the stream). */
  readonly entries: number | undefined;
  /** Age of the first entry not yet delivered; 0 if there is none. Like all ages undefined if its id is ahead of Redis' clock. */
  readonly lagMs: number | undefined;
  /** From the oldest entry in the stream to the first undelivered one, or to now if all were delivered. */
  readonly trimHeadroomMs: number | undefined;
  readonly pending: number;
  readonly oldestPendingMs: number | undefined;
  /** Undefined if the stream never had an entry. */
  readonly sinceLastRecordMs: number | undefined;
  /** Entries in the dead-letter stream. */
  readonly deadLetters: number;
  /** Entries in the stream. */
  readonly length: number;
  /** Entries ever added; undefined before Redis 7. */
  readonly entriesAdded: number | undefined;
  /** By how much the newest id is ahead of Redis' clock, which went back; else 0. */
  readonly idsAheadMs: number;
  readonly lastDeliveredId: string;
  readonly lastGeneratedId: string;
  /** The group's last delivered id is later than the stream's last id: entries that arrive are skipped. */
  readonly isGroupAhead: boolean;
}

/** Undefined while the stream or the group does not exist. Rejects if any command fails. */
export async function readStreamLag(
  redis: Redis,
  stream: string,
  group: string,
): Promise<StreamLag | undefined> {
  // Not in MULTI, which is refused at `maxmemory`. The group before the stream: ids only grow, so a group that is ahead was
  // set ahead. In the other order an entry may be added and delivered in between.
  const [groups, streamInfo, pending] = await sendAll(redis, [
    ['XINFO', 'GROUPS', stream],
    ['XINFO', 'STREAM', stream],
    ['XPENDING', stream, group],
  ]);
  const own = (Array.isArray(groups) ? groups : []).map(asInfo).find((info) => info.get('name') === group);
  if (own === undefined || streamInfo === undefined || !Array.isArray(pending)) return undefined;
  const info = asInfo(streamInfo);
  const lastGeneratedId = String(info.get('last-generated-id'));
  const lastDeliveredId = String(own.get('last-delivered-id'));
  const order = compareEntryIds(lastDeliveredId, lastGeneratedId);

  // The time last: no entry above is later.
  const [undelivered, deadLetters, time] = await sendAll(redis, [
    ['XRANGE', stream, `(${lastDeliveredId}`, '+', 'COUNT', 1],
    ['XLEN', deadLetterStream(stream)],
    ['TIME'],
  ]);
  // Redis' clock throughout: entry ids contain it, and this host's clock may be wrong.
  const [seconds, microseconds] = Array.isArray(time) ? time : [];
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  const firstKeptId = firstIdOf(info.get('first-entry'));
  const firstUndeliveredId = order < 0 && Array.isArray(undelivered) ? firstIdOf(undelivered[0]) : undefined;
  const undeliveredAtMs = firstUndeliveredId === undefined ? nowMs : entryArrivedAtMs(firstUndeliveredId);
  const lag = own.get('lag');
  const entriesAdded = info.get('entries-added');
  const oldestPendingId: unknown = pending[1];
  const isGroupAhead = order > 0;
  return {
    atMs: nowMs,
    entries: typeof lag === 'number' && !isGroupAhead ? lag : undefined,
    // Not from the last delivered id, whose age grows while the stream is idle.
    lagMs: isGroupAhead ? undefined : ageMs(nowMs, undeliveredAtMs),
    trimHeadroomMs: isGroupAhead
      ? undefined
      : firstKeptId === undefined
        ? 0
        : ageMs(undeliveredAtMs, entryArrivedAtMs(firstKeptId)),
    pending: Number(pending[0]),
    oldestPendingMs:
      typeof oldestPendingId === 'string' ? ageMs(nowMs, entryArrivedAtMs(oldestPendingId)) : 0,
    sinceLastRecordMs:
      lastGeneratedId === '0-0' ? undefined : ageMs(nowMs, entryArrivedAtMs(lastGeneratedId)),
    idsAheadMs:
      ageMs(nowMs, entryArrivedAtMs(lastGeneratedId)) === undefined
        ? entryArrivedAtMs(lastGeneratedId) - nowMs
        : 0,
    deadLetters: Number(deadLetters),
    length: Number(info.get('length')),
    entriesAdded: typeof entriesAdded === 'number' ? entriesAdded : undefined,
    lastDeliveredId,
    lastGeneratedId,
    isGroupAhead,
  };
}

/** Undefined if the time is ahead of `nowMs`: no age is better than 0, which would say that all is well. */
function ageMs(nowMs: number, atMs: number): number | undefined {
  return atMs - nowMs > aheadToleranceMs ? undefined : Math.max(0, nowMs - atMs);
}

/** Replies in order, undefined for a missing stream or group; rejects with the first other error. */
async function sendAll(
  redis: Redis,
  commands: readonly (readonly [string, ...(string | number)[]])[],
): Promise<readonly unknown[]> {
  const pipeline = redis.pipeline();
  for (const [command, ...args] of commands) pipeline.call(command, ...args);
  return ((await pipeline.exec()) ?? []).map(([error, reply]) => {
    if (error === null) return reply;
    if (/^(?:NOGROUP|ERR no such key)/u.test(error.message)) return undefined;
    throw error;
  });
}

function asInfo(reply: unknown): ReadonlyMap<string, unknown> {
  const flat: readonly unknown[] = Array.isArray(reply) ? reply : [];
  const info = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) info.set(String(flat[i]), flat[i + 1]);
  return info;
}

function firstIdOf(entry: unknown): string | undefined {
  return Array.isArray(entry) && typeof entry[0] === 'string' ? entry[0] : undefined;
}
