import { compareEntryIds } from '@app/shared/entry';
import type { EntryStamp } from '../latest/latest-fixes.ts';
import { parseCursor, viewOf } from '../protocol/cursor.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import type { DeviceIndex } from '../fanout/device-index.ts';

/** How far the feed is applied: what resuming needs of `Timeline`. */
export interface FeedTime {
  readonly streamOffset: string | undefined;
  readonly epoch: string;
  relate(appliedIds: readonly string[]): 'within' | 'ahead' | 'before' | 'unknown';
  reach(appliedIds: readonly string[], epoch: string, limitMs: number): Promise<void>;
}

/** What a client gives back to go on where it was. */
export interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/** How a resume ended; a metric's label. */
export type ResumeOutcome =
  | 'recovered'
  /** Redis was emptied, or went back. */
  | 'other_epoch'
  /** The event's devices, or the client's box, are not those of the cursor. */
  | 'other_view'
  /** The cursor is older than what this replica has seen, or none of ours. */
  | 'out_of_range'
  /** This replica is behind the one that wrote the cursor. */
  | 'ahead';

export type Resume =
  | { readonly outcome: 'recovered'; readonly appliedIds: readonly string[] }
  | { readonly outcome: Exclude<ResumeOutcome, 'recovered'> | 'none' };

/** Recovered is all or nothing: the same epoch, the same view, and a place within what this process has read itself. */
export function evaluateResume(
  point: ResumePoint | undefined,
  timeline: FeedTime,
  rosterHash: string,
  bboxHash: string,
): Resume {
  if (point === undefined) return { outcome: 'none' };
  if (point.epoch !== timeline.epoch) return { outcome: 'other_epoch' };
  const cursor = parseCursor(point.cursor);
  if (cursor === undefined) return { outcome: 'out_of_range' };
  const relation = timeline.relate(cursor.appliedIds);
  if (relation === 'ahead') return { outcome: 'ahead' };
  if (relation !== 'within') return { outcome: 'out_of_range' };
  if (cursor.view !== viewOf(rosterHash, bboxHash)) return { outcome: 'other_view' };
  return { outcome: 'recovered', appliedIds: cursor.appliedIds };
}

/** Whether the cursor is ahead of what this process has read, after it was given time to catch up. */
export async function isAheadAfter(
  point: ResumePoint,
  timeline: FeedTime,
  limitMs: number,
): Promise<boolean> {
  const cursor = parseCursor(point.cursor);
  const isAhead = (): boolean =>
    cursor !== undefined && point.epoch === timeline.epoch && timeline.relate(cursor.appliedIds) === 'ahead';
  if (cursor === undefined || !isAhead()) return false;
  await timeline.reach(cursor.appliedIds, point.epoch, limitMs);
  return isAhead();
}

export interface MissedDevices {
  readonly pending: DeviceSet;
  /** Devices of which the client may hold what is not true any more, by `devices.id`: it has to forget them first. */
  readonly doubtfulIds: readonly string[];
}

/**
 * What has changed since a cursor: a comparison of states in memory, however much the stream has brought since.
 *
 * A device whose fix came from Postgres counts as changed after every cursor, until an entry has stamped it: nobody
 * else knows it by a stamp. What the client holds of a device without a fix, or with one older than a fix that was found
 * faulty, may be that one: it has to forget it first.
 */
export function missedSince(appliedIds: readonly string[], roster: DeviceIndex): MissedDevices {
  const owed = new DeviceSet();
  const doubtfulIds: string[] = [];
  const isAfter = (stamp: EntryStamp): boolean =>
    compareEntryIds(stamp.id, appliedIds[stamp.stream] ?? '0-0') > 0;
  for (const at of roster.indexes()) {
    const seat = roster.at(at);
    if (seat === undefined) continue;
    const { fix, faultyAtMs } = seat.held;
    const isDoubtful = fix?.stamp === undefined || (faultyAtMs !== undefined && fix.fixAtMs <= faultyAtMs);
    if (isDoubtful) doubtfulIds.push(seat.device.id);
    if (isDoubtful || isAfter(fix.stamp)) owed.add(at);
  }
  return { pending: owed, doubtfulIds };
}
