import type { Fix } from '../fix.ts';
import type { Observation } from '../observation.ts';
import type { PreparedCourse } from '../prepare-course.ts';

export type Emit = (observation: Observation) => void;

/**
 * A fold over the fixes of one device in fix-time order. The state is plain data that `structuredClone` copies, small and
 * bounded whatever the fixes are, and is changed in place.
 *
 * @typeParam State methods, not functions, so that a rule of any state is a `Rule<unknown>`
 */
export interface Rule<State> {
  readonly name: 'gate' | 'waypoint' | 'zone' | 'standing' | 'progress' | 'sos';
  /** Rises with each change that may change a result. */
  readonly version: number;
  /** Whether it gets good fixes only. */
  readonly fixes: 'good' | 'all';
  start(course: PreparedCourse): State;
  /** @param previous the good fix before */
  step(course: PreparedCourse, state: State, previous: Fix | undefined, fix: Fix, emit: Emit): void;
  /** Emits what has begun and not ended. */
  emitOpen(course: PreparedCourse, state: State, emit: Emit): void;
}
