import { compareEntryIds } from '@app/shared/entry';
import type { EntryStamp } from '../latest/latest-fixes.ts';
import { parseCursor, viewOf } from '../protocol/cursor.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import type { DeviceIndex } from '../fanout/device-index.ts';

/** The part of `Timeline` that resuming needs. */
export interface FeedTime {
  readonly streamOffset: string | undefined;
  readonly epoch: string;
  relate(appliedIds: readonly string[]): 'within' | 'ahead' | 'before' | 'unknown';
  reach(appliedIds: readonly string[], epoch: string, limitMs: number): Promise<void>;
}

/** Where a client wants to resume. */
export interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/** Result of a resume; a metric label. */
export type ResumeOutcome =
  | 'recovered'
  /** Redis was emptied or rewound. */
  | 'other_epoch'
  /** The event's devices or the client's box have changed since the cursor. */
  | 'other_view'
  /** The cursor is older than what this replica has read, or invalid. */
  | 'out_of_range'
  /** This replica is behind the one that wrote the cursor. */
  | 'ahead';

export type Resume =
  | { readonly outcome: 'recovered'; readonly appliedIds: readonly string[] }
  | { readonly outcome: Exclude<ResumeOutcome, 'recovered'> | 'none' };

/** Recovers only if the epoch and the view are the same and this process has read everything since the cursor itself. */
export function evaluateResume(
  point: ResumePoint | undefined,
  timeline: FeedTime,
  devicesHash: string,
  bboxHash: string,
): Resume {
  if (point === undefined) return { outcome: 'none' };
  if (point.epoch !== timeline.epoch) return { outcome: 'other_epoch' };
  const cursor = parseCursor(point.cursor);
  if (cursor === undefined) return { outcome: 'out_of_range' };
  const relation = timeline.relate(cursor.appliedIds);
  if (relation === 'ahead') return { outcome: 'ahead' };
  if (relation !== 'within') return { outcome: 'out_of_range' };
  if (cursor.view !== viewOf(devicesHash, bboxHash)) return { outcome: 'other_view' };
  return { outcome: 'recovered', appliedIds: cursor.appliedIds };
}

/** Whether the cursor is still ahead of this process after waiting up to `limitMs`. */
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
  /** Devices whose position at the client may be invalid, by `devices.id`; the client must drop it first. */
  readonly invalidIds: readonly string[];
}

/**
 * The devices that changed after a cursor, found by comparing the newest fixes in memory, so that the cost does not grow
 * with the number of entries since.
 *
 * A fix from Postgres has no entry id, so it counts as changed after every cursor. The position that the client holds of
 * a device may be invalid if the device has no fix now, or if its fix is older than one marked faulty.
 */
export function missedSince(appliedIds: readonly string[], devices: DeviceIndex): MissedDevices {
  const pending = new DeviceSet();
  const invalidIds: string[] = [];
  const isAfter = (stamp: EntryStamp): boolean =>
    compareEntryIds(stamp.id, appliedIds[stamp.stream] ?? '0-0') > 0;
  for (const index of devices.indexes()) {
    const indexed = devices.at(index);
    if (indexed === undefined) continue;
    const { fix, faultyAtMs } = indexed.held;
    const isInvalid = fix?.stamp === undefined || (faultyAtMs !== undefined && fix.fixAtMs <= faultyAtMs);
    if (isInvalid) invalidIds.push(indexed.device.id);
    if (isInvalid || isAfter(fix.stamp)) pending.add(index);
  }
  return { pending: pending, invalidIds };
}
