import { count, list, parseInfo, text } from './entry-reply.ts';

/** A stream and one of its groups at one moment. */
export interface GroupState {
  /** The oldest id in the stream; undefined if it is empty. */
  readonly firstId: string | undefined;
  readonly lastGeneratedId: string;
  readonly length: number;
  /** Null before Redis 7, which does not count. */
  readonly entriesAdded: number | null;
  readonly lastDeliveredId: string;
  /** Null if Redis has lost count (after XDEL, or if the group was created inside the stream). */
  readonly entriesRead: number | null;
}

/** Parses XINFO STREAM and XINFO GROUPS; undefined if the group is not among them. */
export function parseGroupState(stream: unknown, groups: unknown, group: string): GroupState | undefined {
  const info = parseInfo(stream);
  const own = list(groups)
    .map(parseInfo)
    .find((candidate) => text(candidate.get('name')) === group);
  if (own === undefined) return undefined;
  const first = info.get('first-entry');
  const entriesAdded = info.get('entries-added');
  const entriesRead = own.get('entries-read');
  return {
    firstId: first === null || first === undefined ? undefined : text(list(first)[0]),
    lastGeneratedId: text(info.get('last-generated-id')),
    length: count(info.get('length')),
    entriesAdded: typeof entriesAdded === 'number' ? entriesAdded : null,
    lastDeliveredId: text(own.get('last-delivered-id')),
    entriesRead: typeof entriesRead === 'number' ? entriesRead : null,
  };
}
