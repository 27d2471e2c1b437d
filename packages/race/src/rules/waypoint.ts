import { approachTarget } from '@app/geometry/closest-approach';
import { distanceM } from '@app/geometry/distance';
import type { WaypointApproached } from '../observation.ts';
import type { Rule } from './rule.ts';
import { timeMovement } from './time-movement.ts';

/** The visits that last; at most one a waypoint. */
interface WaypointState {
  visits: WaypointApproached[];
}

/**
 * A visit begins when a movement, not only a fix, comes within the radius, and ends when one stays outside of it and the
 * hysteresis. What counts is the closest approach; of equally close ones the first.
 */
export const waypointRule: Rule<WaypointState> = {
  name: 'waypoint',
  version: 1,
  fixes: 'good',
  start: () => ({ visits: [] }),
  step(course, state, previous, fix, emit) {
    const from = previous ?? fix;
    for (const { row, target } of course.waypoints) {
      const approach = approachTarget(target, from, fix);
      if (!approach && state.visits.length === 0) continue;
      const at = findVisit(state.visits, row.id);
      const visit = state.visits[at];
      if (!approach) {
        if (visit) {
          emit(visit);
          state.visits.splice(at, 1);
        }
        continue;
      }
      if (visit ? approach.distanceM >= visit.distanceM : approach.distanceM > row.radiusM) {
        if (visit) state.visits[at] = { ...visit, untilMs: fix.fixAtMs };
        continue;
      }
      const lengthM = distanceM(from, fix);
      const { maximumGapS } = course.thresholds;
      const time = timeMovement(from, fix, approach.fraction, lengthM, lengthM, maximumGapS);
      const closest: WaypointApproached = {
        kind: 'waypoint',
        waypointId: row.id,
        ...time,
        distanceM: approach.distanceM,
        fixes: { beforeAtMs: from.fixAtMs, afterAtMs: fix.fixAtMs },
        fromMs: visit?.fromMs ?? time.atMs,
        untilMs: fix.fixAtMs,
      };
      if (visit) state.visits[at] = closest;
      else state.visits.push(closest);
    }
  },
  emitOpen(_course, state, emit) {
    for (const visit of state.visits) emit(visit);
  },
};

/** A function of its own: a closure in the loop would be allocated for each waypoint and fix. */
function findVisit(visits: readonly WaypointApproached[], waypointId: string): number {
  return visits.findIndex((visit) => visit.waypointId === waypointId);
}
