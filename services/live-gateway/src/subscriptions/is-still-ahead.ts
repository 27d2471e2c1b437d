import type { Timeline } from '../feed/timeline.ts';
import { decodeCursor } from '../protocol/cursor.ts';
import type { ResumePoint } from './resume.ts';

/** Time that a gateway gets to catch up with the one that issued a cursor. */
export const catchUpLimitMs = 2_000;

/** Whether the cursor is ahead of this gateway, and still is after the gateway had time to catch up. */
export async function isStillAhead(
  point: ResumePoint,
  timeline: Timeline,
  limitMs = catchUpLimitMs,
): Promise<boolean> {
  const cursor = decodeCursor(point.cursor);
  const isAhead = (): boolean =>
    cursor !== undefined && point.epoch === timeline.epoch && timeline.relate(cursor.appliedIds) === 'ahead';
  if (cursor === undefined || !isAhead()) return false;
  await timeline.reach(cursor.appliedIds, point.epoch, limitMs);
  return isAhead();
}
