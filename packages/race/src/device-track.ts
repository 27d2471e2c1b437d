import { matters, type Fix } from './fix.ts';
import type { Observation } from './observation.ts';
import {
  observeFix,
  openObservations,
  startDevice,
  type DeviceObserved,
  type DeviceState,
} from './observe.ts';
import type { PreparedCourse } from './prepare-course.ts';

/**
 * The observations of one device while its fixes arrive: a checkpoint of the fold that is a window old, and the fixes since.
 * A fix that is late by less than the window is folded again with those after it; an older one needs the stored fixes.
 */
export interface DeviceTrack {
  checkpoint: DeviceState;
  /** What had ended at the checkpoint. */
  readonly settled: Observation[];
  /** After the checkpoint, in fix-time order. */
  readonly recent: Fix[];
  /** The fold of all fixes, and what ended after the checkpoint. */
  current: DeviceState;
  unsettled: Observation[];
}

export function startTrack(course: PreparedCourse): DeviceTrack {
  const checkpoint = startDevice(course);
  return { checkpoint, settled: [], recent: [], current: structuredClone(checkpoint), unsettled: [] };
}

/**
 * Adds a fix. `unchanged`: it changes no result, or one with this fix time is known already. `too_late`: it belongs before the
 * checkpoint, nothing changes, and the device has to be observed again from its stored fixes.
 *
 * @param windowMs between one and two windows of fixes are kept
 */
export function addFix(
  course: PreparedCourse,
  track: DeviceTrack,
  fix: Fix,
  windowMs: number,
): 'added' | 'unchanged' | 'too_late' {
  const { recent } = track;
  const isNewest = fix.fixAtMs > track.current.lastFixAtMs;
  if (!matters(fix) || (!isNewest && recent.some(({ fixAtMs }) => fixAtMs === fix.fixAtMs)))
    return 'unchanged';
  if (fix.fixAtMs <= track.checkpoint.lastFixAtMs) return 'too_late';
  if (isNewest) {
    recent.push(fix);
    observeFix(course, track.current, fix, (one) => track.unsettled.push(one));
  } else {
    recent.splice(
      recent.findIndex(({ fixAtMs }) => fixAtMs > fix.fixAtMs),
      0,
      fix,
    );
    foldRecent(course, track);
  }
  settleBefore(course, track, fix, windowMs);
  return 'added';
}

/**
 * Adds a fix of those that are read from a store, in fix-time order; of those with one time the first counts. Each is
 * folded once only: `foldRecent` has to follow the last one.
 */
export function addStored(course: PreparedCourse, track: DeviceTrack, fix: Fix, windowMs: number): void {
  if (!matters(fix) || track.recent.at(-1)?.fixAtMs === fix.fixAtMs) return;
  track.recent.push(fix);
  settleBefore(course, track, fix, windowMs);
}

/** Folds the fixes since the checkpoint again. */
export function foldRecent(course: PreparedCourse, track: DeviceTrack): void {
  track.current = structuredClone(track.checkpoint);
  track.unsettled = [];
  for (const fix of track.recent) observeFix(course, track.current, fix, (one) => track.unsettled.push(one));
}

export function observed(course: PreparedCourse, track: DeviceTrack): DeviceObserved {
  const { observations, failures } = openObservations(course, track.current);
  return { observations: [...track.settled, ...track.unsettled, ...observations], failures };
}

/**
 * Moves the checkpoint when two windows of fixes are kept, to a window before a fix: this one and not the newest, since
 * a panic record with a clock that is ahead would keep all fixes until then.
 */
function settleBefore(course: PreparedCourse, track: DeviceTrack, { fixAtMs }: Fix, windowMs: number): void {
  if (fixAtMs - (track.recent[0]?.fixAtMs ?? 0) <= 2 * windowMs) return;
  const found = track.recent.findIndex((fix) => fix.fixAtMs >= fixAtMs - windowMs);
  const settled = track.recent.splice(0, found === -1 ? track.recent.length : found);
  let ended = 0;
  for (const fix of settled) {
    observeFix(course, track.checkpoint, fix, (one) => {
      track.settled.push(one);
      ended += 1;
    });
  }
  track.unsettled.splice(0, ended);
}
