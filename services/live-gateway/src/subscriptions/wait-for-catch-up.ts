import type { Timeline } from '../feed/timeline.ts';
import { decodeCursor } from '../protocol/cursor.ts';
import type { ResumePoint } from './resume.ts';

/** Time that a gateway gets to catch up with the one that issued a cursor. */
export const catchUpLimitMs = 2_000;

/**
 * Waits until this gateway has applied everything that the cursor covers, for at most `limitMs`.
 *
 * @returns whether the gateway is still behind the cursor.
 */
export async function waitForCatchUp(
  point: ResumePoint,
  timeline: Timeline,
  limitMs = catchUpLimitMs,
): Promise<boolean> {
  const cursor = decodeCursor(point.cursor);
  const isBehind = (): boolean =>
    cursor !== undefined && point.epoch === timeline.epoch && timeline.relate(cursor.appliedIds) === 'ahead';
  if (cursor === undefined || !isBehind()) return false;
  await timeline.reach(cursor.appliedIds, point.epoch, limitMs);
  return isBehind();
}
