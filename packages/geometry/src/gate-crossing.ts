import { distanceM } from './distance.ts';
import { findPointError, type GeoPoint } from './geo-point.ts';
import { GeometryError } from './geometry-error.ts';
import { isNearFrame, prepareFrame, toLocal, type LocalFrame, type LocalPoint } from './local-frame.ts';
import { mayTouch, prepareBox, type NearBox } from './near-box.ts';
import { isCrossing, sideOf } from './planar-crossing.ts';

/** A gate with its frame, which has its origin at the left post, and the box outside which nothing crosses it. */
export interface Gate {
  readonly box: NearBox;
  readonly frame: LocalFrame;
  readonly left: LocalPoint;
  readonly right: LocalPoint;
  readonly widthM: number;
}

/** Shorter than the error of a fix: nothing could be said about who passed it. */
const minGateM = 1;
/** A mistyped coordinate rather than a gate. */
const maxGateM = 10_000;

/**
 * A gate between two posts, as a crew that passes it forwards sees them: one on the left, one on the right. So forward is
 * from the right of the line left→right to its left. The gate is a straight line between the posts, which belong to it.
 */
export function prepareGate(left: GeoPoint, right: GeoPoint): Gate | GeometryError {
  const error = findPointError('The left post', left) ?? findPointError('The right post', right);
  if (error) return error;
  const widthM = distanceM(left, right);
  if (widthM < minGateM) {
    return new GeometryError(
      `The posts are ${widthM.toFixed(2)} m apart; a gate must be at least ${minGateM} m wide.`,
    );
  }
  if (widthM > maxGateM) {
    return new GeometryError(
      `The posts are ${Math.round(widthM)} m apart; a gate can be at most ${maxGateM} m wide.`,
    );
  }
  const frame = prepareFrame(left);
  const leftPoint = toLocal(frame, left);
  const rightPoint = toLocal(frame, right);
  // A gate of 10 km leaves its posts' parallel by less than a tenth of its width wherever a box has sides.
  return {
    box: prepareBox([left, right], widthM / 10),
    frame,
    left: leftPoint,
    right: rightPoint,
    widthM: Math.hypot(rightPoint.eastM - leftPoint.eastM, rightPoint.northM - leftPoint.northM),
  };
}

export interface GateCrossing {
  readonly direction: 'forward' | 'backward';
  /** Where on the movement, 0 at `from` to 1 at `to`. */
  readonly fraction: number;
  /** Length of the movement, and how much of it is at right angles to the gate, in metres; both are more than 0. */
  readonly lengthM: number;
  readonly acrossM: number;
}

/**
 * How the straight movement between two consecutive fixes crosses a gate, if it does. A fix on the gate has passed it, so
 * a track that continues from there counts once; one that touches the gate from before it and turns back counts forward and
 * backward, one that touches it from behind not at all. Exact for the fixes' coordinates in the gate's frame, where the gate
 * and a movement of 10 km are within 1 cm of the geodesics. A movement with an end more than 1,000 km away crosses nothing.
 */
export function crossGate(gate: Gate, from: GeoPoint, to: GeoPoint): GateCrossing | undefined {
  return mayTouch(gate.box, from, to) ? crossNearGate(gate, from, to) : undefined;
}

function crossNearGate(gate: Gate, from: GeoPoint, to: GeoPoint): GateCrossing | undefined {
  const { left, right } = gate;
  const start = toLocal(gate.frame, from);
  const end = toLocal(gate.frame, to);
  if (!isNearFrame(start) || !isNearFrame(end)) return undefined;
  const startSide = sideOf(left, right, start);
  const endSide = sideOf(left, right, end);
  if (!isCrossing(left, right, start, end, startSide, endSide)) return undefined;
  // The sides have opposite signs, or one is 0: nothing cancels.
  const across = Math.abs(endSide - startSide);
  return {
    direction: endSide >= 0 ? 'forward' : 'backward',
    fraction: Math.abs(startSide) / across,
    lengthM: Math.hypot(end.eastM - start.eastM, end.northM - start.northM),
    acrossM: across / gate.widthM,
  };
}
