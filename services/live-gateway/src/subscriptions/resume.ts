import type { Timeline } from '../feed/timeline.ts';
import { decodeCursor, hashView } from '../protocol/cursor.ts';

/** What a client resumes from. */
export interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/** How a resume ended; label `outcome` of `live_resumes_total`. */
export type ResumeOutcome =
  | 'recovered'
  /** The stream was emptied or rewound. */
  | 'other_epoch'
  /** The cursor is of other devices or of another box. */
  | 'other_view'
  /** The cursor is older than what this gateway has read, or not a cursor. */
  | 'out_of_range'
  /** This gateway is behind the one that issued the cursor. */
  | 'ahead';

export type Resume =
  | { readonly outcome: 'recovered'; readonly appliedIds: readonly string[] }
  | { readonly outcome: Exclude<ResumeOutcome, 'recovered'> | 'none' };

/**
 * A client is resumed if epoch and view are the same and this gateway has read every entry after the cursor.
 *
 * `subscribe` calls this after `waitForCatchUp`, so `ahead` means that the stream was rewound in between. Like every
 * outcome but `recovered` it leads to a snapshot.
 */
export function evaluateResume(
  point: ResumePoint | undefined,
  timeline: Timeline,
  devicesHash: string,
  bboxHash: string,
): Resume {
  if (point === undefined) return { outcome: 'none' };
  if (point.epoch !== timeline.epoch) return { outcome: 'other_epoch' };
  const cursor = decodeCursor(point.cursor);
  if (cursor === undefined) return { outcome: 'out_of_range' };
  const relation = timeline.relate(cursor.appliedIds);
  if (relation === 'ahead') return { outcome: 'ahead' };
  if (relation !== 'within') return { outcome: 'out_of_range' };
  if (cursor.viewHash !== hashView(devicesHash, bboxHash)) return { outcome: 'other_view' };
  return { outcome: 'recovered', appliedIds: cursor.appliedIds };
}
