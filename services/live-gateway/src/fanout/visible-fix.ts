import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { isInside } from './bbox.ts';
import type { IndexedDevice } from './device-index.ts';

/** The device's latest fix if the client may see it now: recent enough and inside the client's box. */
export function visibleFix(
  { bbox }: Subscription,
  indexed: IndexedDevice | undefined,
  latest: LatestFixes,
  nowMs: number,
): LatestFix | undefined {
  const fix = indexed?.held.fix;
  if (fix === undefined || !latest.isRecent(fix, nowMs)) return undefined;
  return bbox === undefined || isInside(bbox, fix.latitude, fix.longitude) ? fix : undefined;
}
