import { findPointError, type GeoPoint } from './geo-point.ts';
import { GeometryError } from './geometry-error.ts';
import { isNearFrame, prepareFrame, toLocal, type LocalFrame } from './local-frame.ts';
import { mayTouch, prepareBox, type NearBox } from './near-box.ts';

/** A point with a reach, such as a waypoint with its radius. */
export interface Target {
  readonly box: NearBox;
  readonly frame: LocalFrame;
  readonly reachM: number;
}

/** Up to here a distance in the frame is right within 5 mm. */
const maxReachM = 10_000;

/** @param reachM farther approaches do not matter, and cost the least. */
export function prepareTarget(point: GeoPoint, reachM: number): Target | GeometryError {
  const error = findPointError('The point', point);
  if (error) return error;
  if (!(reachM > 0 && reachM <= maxReachM)) {
    return new GeometryError(
      `The radius is ${reachM} m; it must be more than 0 m and at most ${maxReachM} m.`,
    );
  }
  return { box: prepareBox([point], reachM), frame: prepareFrame(point), reachM };
}

export interface Approach {
  /** In metres; at most the reach. */
  readonly distanceM: number;
  /** Where on the movement, 0 at `from` to 1 at `to`; the first such place. */
  readonly fraction: number;
}

/**
 * Where the straight movement between two consecutive fixes is closest to the point, if within its reach. The distance
 * is short of the geodesic by d³/6R²: 5 µm at 1 km, 5 mm at 10 km. Nothing for a movement with an end more than 1,000 km away.
 */
export function approachTarget(target: Target, from: GeoPoint, to: GeoPoint): Approach | undefined {
  return mayTouch(target.box, from, to) ? approachNearTarget(target, from, to) : undefined;
}

function approachNearTarget(target: Target, from: GeoPoint, to: GeoPoint): Approach | undefined {
  const start = toLocal(target.frame, from);
  const end = toLocal(target.frame, to);
  if (!isNearFrame(start) || !isNearFrame(end)) return undefined;
  const eastM = end.eastM - start.eastM;
  const northM = end.northM - start.northM;
  const length2 = eastM * eastM + northM * northM;
  const along = -(start.eastM * eastM + start.northM * northM);
  const fraction = length2 > 0 ? Math.min(1, Math.max(0, along / length2)) : 0;
  const distanceM = Math.hypot(start.eastM + fraction * eastM, start.northM + fraction * northM);
  return distanceM <= target.reachM ? { distanceM, fraction } : undefined;
}
