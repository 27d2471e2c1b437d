import type { Waypoint } from '../course.ts';
import type { Decision } from '../decision.ts';
import { applyPassingDecisions, type Passing } from './apply-passing-decisions.ts';
import { longestSeries } from './longest-series.ts';
import type { DeviceSeen } from './device-seen.ts';
import { mergeDevices } from './merge-devices.ts';

interface WaypointPassing extends Passing {
  readonly waypoint: Waypoint;
  readonly distanceM: number | undefined;
}

export interface JudgedWaypoint {
  readonly waypoint: Waypoint;
  readonly verdict: 'passed' | 'missed';
  readonly isDecided: boolean;
  /** None if it was missed. */
  readonly passing: WaypointPassing | undefined;
}

/** When an entry was on a stage: from its start to its finish, or to when the stage closed for it, or to the newest fix. */
export interface StageWindow {
  readonly fromMs: number;
  readonly untilMs: number;
  /** Nothing of the stage can be passed any more. */
  readonly isOver: boolean;
}

/**
 * The waypoints of a stage that an entry has passed or missed. One is missed when a later one was passed, or the stage is over;
 * until then it is neither and has no result. Those of any order are missed at the end only.
 */
export function judgeWaypoints(
  waypoints: readonly Waypoint[],
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  window: StageWindow,
  mergeWithinMs: number,
): readonly JudgedWaypoint[] {
  const all = waypoints.flatMap((waypoint) => passingsOf(waypoint, devices, decisions, mergeWithinMs));
  const passings = all
    .filter((one) => !one.isSuppressed)
    .filter((one) => one.isDecided || (one.atMs >= window.fromMs && one.atMs <= window.untilMs))
    .toSorted((a, b) => a.atMs - b.atMs || a.waypoint.order - b.waypoint.order);
  const inOrder = longestSeries(
    passings.filter(({ waypoint }) => !waypoint.isAnyOrder),
    ({ waypoint }) => waypoint.order,
  );
  const newestOrder = inOrder.at(-1)?.waypoint.order ?? -Infinity;
  return waypoints.flatMap((waypoint): JudgedWaypoint[] => {
    const passing = waypoint.isAnyOrder
      ? (passings.find((one) => one.waypoint === waypoint && one.isDecided) ??
        passings.find((one) => one.waypoint === waypoint))
      : inOrder.find((one) => one.waypoint === waypoint);
    if (passing) return [{ waypoint, verdict: 'passed', isDecided: passing.isDecided, passing }];
    const isMissed = window.isOver || (!waypoint.isAnyOrder && waypoint.order < newestOrder);
    const isDecided = all.some((one) => one.waypoint === waypoint && one.isSuppressed);
    return isMissed ? [{ waypoint, verdict: 'missed', isDecided, passing: undefined }] : [];
  });
}

function passingsOf(
  waypoint: Waypoint,
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  mergeWithinMs: number,
): readonly WaypointPassing[] {
  const seen = mergeDevices(devices, 'waypoint', waypoint.id, mergeWithinMs).map(
    (approach): WaypointPassing => ({
      waypoint,
      targetId: waypoint.id,
      atMs: approach.atMs,
      uncertaintyMs: approach.uncertaintyMs,
      confidence: approach.confidence,
      fixes: { deviceId: approach.deviceId, ...approach.fixes },
      distanceM: approach.distanceM,
      isDecided: false,
      isSuppressed: false,
    }),
  );
  return applyPassingDecisions<WaypointPassing>(seen, decisions, waypoint.id, visitMs, (decided) => ({
    ...decided,
    waypoint,
    distanceM: undefined,
  }));
}

/** A decision about a passing of a waypoint means the visit nearest to its time, within a minute. */
const visitMs = 60_000;
