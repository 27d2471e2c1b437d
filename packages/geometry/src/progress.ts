import type { GeoPoint } from './geo-point.ts';
import { projectOnLine, type Line } from './line.ts';

/** How far a device has come along a line, in metres. */
export interface Progress {
  /** The farthest it has been along the line; never decreases. */
  readonly progressM: number;
  /** Where it was last on the track, and how far it has travelled since. */
  readonly alongM: number;
  readonly sinceM: number;
  readonly isOnTrack: boolean;
  /** From the line at that place if it is on the track, else from the nearest place of the whole line. */
  readonly distanceM: number;
}

/** A device that starts at the line's start. */
export const atLineStart: Progress = { progressM: 0, alongM: 0, sinceM: 0, isOnTrack: true, distanceM: 0 };

/** A device that may be anywhere: its first fix near the line tells where. */
export const anywhereOnLine: Progress = {
  ...atLineStart,
  sinceM: Infinity,
  isOnTrack: false,
  distanceM: Infinity,
};

/** Farther from the line a device is off the track: no road is as wide, and no drawn line as wrong. */
export const offTrackM = 100;

/** A line has bends that a straight movement between fixes cuts off: its way may be so many times as long. */
const maxWindingRatio = 1.5;
/** What the errors of two fixes and a drawn line may add to that. */
const windowSlackM = 30;

/**
 * The progress after a fix. The fix is projected onto the part of the line that the device can have reached from where it
 * was last on the track, so that the other leg of a hairpin and another passing of a loop do not count. A shortcut
 * counts when the distance travelled has become enough for the way along the line; until then the device is off the track.
 *
 * @param movedM how far the device may have come since the last fix: the greater of the distance between them and the one
 * by their speeds.
 */
export function advanceProgress(line: Line, progress: Progress, point: GeoPoint, movedM: number): Progress {
  const sinceM = progress.sinceM + movedM;
  // Off the track the whole line comes first: mostly it is far, and the part need not be searched.
  const fromLineM = progress.isOnTrack ? 0 : distanceToLineM(line, point);
  if (fromLineM <= offTrackM) {
    const windowM = sinceM * maxWindingRatio + windowSlackM;
    const fromM = Math.max(0, progress.alongM - windowM);
    const toM = Math.min(line.lengthM, progress.alongM + windowM);
    const { alongM, distanceM } = projectOnLine(line, point, fromM, toM);
    if (distanceM <= offTrackM) {
      const progressM = Math.max(progress.progressM, alongM);
      return { progressM, alongM, sinceM: 0, isOnTrack: true, distanceM };
    }
  }
  const distanceM = progress.isOnTrack ? distanceToLineM(line, point) : fromLineM;
  const { progressM, alongM } = progress;
  return { progressM, alongM, sinceM, isOnTrack: false, distanceM };
}

function distanceToLineM(line: Line, point: GeoPoint): number {
  return projectOnLine(line, point, 0, line.lengthM).distanceM;
}
