import { compareEntryIds } from '@app/shared/entry';
import { list, parseInfo, text } from './entry-reply.ts';

/** Where the stream and the group stand at one moment. */
export interface StreamStanding {
  /** First id in the stream; undefined when it is empty. */
  readonly firstId: string | undefined;
  readonly lastGeneratedId: string;
  readonly length: number;
  readonly entriesAdded: number;
  readonly lastDeliveredId: string;
  /** Null where Redis has lost count (after XDEL, or an odd start of the group). */
  readonly entriesRead: number | null;
}

/** Entries that were trimmed or deleted before the group was ever given them. */
export interface Loss {
  /** Exactly how many, or at least one where the counters do not tell. */
  readonly entries: number;
  readonly isExact: boolean;
  readonly afterId: string;
  readonly beforeId: string;
}

/**
 * Compares the stream's first id with the group's last delivered one. The group's `lag` detects no loss:
 * Redis 7.0 keeps trimmed unread entries in it for ever, later versions correct it silently.
 */
export function detectLoss(standing: StreamStanding): Loss | undefined {
  const { firstId, lastGeneratedId, lastDeliveredId } = standing;
  const hasUndelivered = compareEntryIds(lastGeneratedId, lastDeliveredId) > 0;
  const isFirstUndeliveredKept = firstId !== undefined && compareEntryIds(firstId, lastDeliveredId) <= 0;
  if (!hasUndelivered || isFirstUndeliveredKept) return undefined;
  const range = {
    afterId: lastDeliveredId,
    beforeId: firstId ?? lastGeneratedId,
  };
  const removed = countRemoved(standing);
  if (standing.entriesRead === null) {
    // A group that was never read has read nothing; any other is unsure, and silence would be worse.
    const isUnread = lastDeliveredId === '0-0';
    if (removed <= 0) return undefined;
    return { entries: isUnread ? removed : 1, isExact: isUnread, ...range };
  }
  const entries = removed - standing.entriesRead;
  return entries > 0 ? { entries, isExact: true, ...range } : undefined;
}

/** Entries that have left the stream, read or not. */
export function countRemoved({ entriesAdded, length }: StreamStanding): number {
  return entriesAdded - length;
}

/**
 * Entries that the group's counter misses though the group has been given all there are. A Redis 7.0 that starts from
 * its append-only file, or a replica that takes over, has an older count: `lag` would be too large for ever, and what is
 * trimmed behind the group would look lost.
 */
export function countBehind(standing: StreamStanding): number {
  const { lastGeneratedId, lastDeliveredId, entriesAdded, entriesRead } = standing;
  if (entriesRead === null || lastDeliveredId !== lastGeneratedId) return 0;
  return Math.max(0, entriesAdded - entriesRead);
}

/** Reads XINFO STREAM and XINFO GROUPS; undefined if the group is not among them. */
export function parseStanding(stream: unknown, groups: unknown, group: string): StreamStanding | undefined {
  const info = parseInfo(stream);
  const own = list(groups)
    .map(parseInfo)
    .find((candidate) => text(candidate.get('name')) === group);
  if (own === undefined) return undefined;
  const first = info.get('first-entry');
  const entriesRead = own.get('entries-read');
  return {
    firstId: first === null || first === undefined ? undefined : text(list(first)[0]),
    lastGeneratedId: text(info.get('last-generated-id')),
    length: Number(info.get('length')),
    entriesAdded: Number(info.get('entries-added')),
    lastDeliveredId: text(own.get('last-delivered-id')),
    entriesRead: typeof entriesRead === 'number' ? entriesRead : null,
  };
}
