import { distanceM } from '@app/geometry/distance';
import { crossGate } from '@app/geometry/gate-crossing';
import { mayTouch } from '@app/geometry/near-box';
import { advanceProgress, anywhereOnLine, atLineStart, type Progress } from '@app/geometry/progress';
import type { Fix } from '../fix.ts';
import type { PreparedStage } from '../prepare-course.ts';
import type { Rule } from './rule.ts';

interface StageProgress {
  progress: Progress;
  atMs: number;
  /** The newest one that was emitted, and the farthest since. */
  sampledM: number;
  peakM: number;
  peakAtMs: number;
}

/** One for each stage with a line. */
type ProgressState = StageProgress[];

/** Samples this far apart tell where a device was; the newest is exact. */
const sampleM = 500;
/** What a device went back before the farthest place counts as turned back from. */
const turnedBackM = 50;
/** Near the ends of the line a loop is ambiguous, and a start begins anew. */
const endM = 500;

/**
 * Where a device is along each stage's line, forwards and backwards, since it may have driven the line before its start. From
 * the samples since the start the judge takes the farthest, so that progress never decreases.
 */
export const progressRule: Rule<ProgressState> = {
  name: 'progress',
  version: 1,
  fixes: 'good',
  start: (course) =>
    course.stages.map(() => ({
      progress: anywhereOnLine,
      atMs: 0,
      sampledM: -Infinity,
      peakM: -Infinity,
      peakAtMs: 0,
    })),
  step(course, states, previous, fix, emit) {
    const from = previous ?? fix;
    let movedM = -1;
    for (const [index, stage] of course.stages.entries()) {
      const state = states[index];
      if (!state || (state.progress.sinceM === Infinity && !mayTouch(stage.box, fix, fix))) continue;
      if (movedM < 0) movedM = distanceMoved(from, fix);
      if (isStarting(stage, state.progress, from, fix)) {
        state.progress = advanceProgress(stage.line, atLineStart, fix, movedM);
        state.sampledM = -Infinity;
        state.peakM = -Infinity;
      } else if (mayTouch(stage.box, fix, fix)) {
        state.progress = advanceProgress(stage.line, state.progress, fix, movedM);
      } else {
        state.progress = { ...state.progress, sinceM: state.progress.sinceM + movedM, isOnTrack: false };
      }
      state.atMs = fix.fixAtMs;
      if (!state.progress.isOnTrack) continue;

      const { alongM } = state.progress;
      if (state.peakM > state.sampledM && alongM < state.peakM - turnedBackM) {
        emit({
          kind: 'progress',
          stageId: stage.row.id,
          atMs: state.peakAtMs,
          progressM: state.peakM,
          isOffTrack: false,
        });
        state.sampledM = state.peakM;
      }
      if (Math.abs(alongM - state.sampledM) >= sampleM) {
        emit({
          kind: 'progress',
          stageId: stage.row.id,
          atMs: fix.fixAtMs,
          progressM: alongM,
          isOffTrack: false,
        });
        state.sampledM = alongM;
        state.peakM = alongM;
      } else if (alongM > state.peakM) {
        state.peakM = alongM;
        state.peakAtMs = fix.fixAtMs;
      }
    }
  },
  emitOpen(course, states, emit) {
    for (const [index, { row }] of course.stages.entries()) {
      const state = states[index];
      if (!state || state.progress.sinceM === Infinity) continue;
      const { progress, peakM, peakAtMs, sampledM, atMs } = state;
      if (peakM > sampledM) {
        emit({ kind: 'progress', stageId: row.id, atMs: peakAtMs, progressM: peakM, isOffTrack: false });
      }
      emit({
        kind: 'progress',
        stageId: row.id,
        atMs,
        progressM: progress.alongM,
        isOffTrack: !progress.isOnTrack,
      });
    }
  },
};

/** The way between two fixes is at least their distance, and what the speeds at both make it. */
function distanceMoved(from: Fix, to: Fix): number {
  const bySpeedM = ((from.speedKmh + to.speedKmh) / 2 / 3.6) * ((to.fixAtMs - from.fixAtMs) / 1000);
  return Math.max(distanceM(from, to), bySpeedM);
}

/** Passes the start gate, and is not somewhere in the middle of the line, where a course may cross its own start. */
function isStarting(stage: PreparedStage, progress: Progress, from: Fix, fix: Fix): boolean {
  if (!stage.startGate || crossGate(stage.startGate, from, fix)?.direction !== 'forward') return false;
  const isInTheMiddle =
    progress.isOnTrack && progress.alongM > endM && progress.alongM < stage.line.lengthM - endM;
  return !isInTheMiddle;
}
