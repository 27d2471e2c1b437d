import { crossGate } from '@app/geometry/gate-crossing';
import type { Gate } from '../course.ts';
import type { GateCrossed } from '../observation.ts';
import type { Emit, Rule } from './rule.ts';
import { timeMovement } from './time-movement.ts';

/** Crossings within the dead time of each other, of one gate in one direction. */
interface Series {
  readonly deadTimeMs: number;
  crossed: GateCrossed;
}

/** At most two a gate. */
interface GateState {
  series: Series[];
}

/**
 * The movement between two good fixes crosses a gate. Crossings that follow each other within the gate's dead time are a
 * series, of which the first counts, or the last for a gate with `crossing` = last: a vehicle that waits on the line
 * starts when it leaves it.
 */
export const gateRule: Rule<GateState> = {
  name: 'gate',
  version: 1,
  fixes: 'good',
  start: () => ({ series: [] }),
  step(course, state, previous, fix, emit) {
    if (!previous) return;
    if (state.series.length > 0) {
      // What this movement crosses may be as early as its first fix.
      const isOver = ({ crossed, deadTimeMs }: Series) => previous.fixAtMs > crossed.untilMs + deadTimeMs;
      for (const series of state.series) {
        if (isOver(series)) emit(series.crossed);
      }
      state.series = state.series.filter((series) => !isOver(series));
    }
    for (const { row, line } of course.gates) {
      const crossing = crossGate(line, previous, fix);
      if (!crossing) continue;
      const { direction, fraction, lengthM, acrossM } = crossing;
      const time = timeMovement(previous, fix, fraction, lengthM, acrossM, course.thresholds.maximumGapS);
      const crossed: GateCrossed = {
        kind: 'gate',
        gateId: row.id,
        direction,
        ...time,
        fixes: { beforeAtMs: previous.fixAtMs, afterAtMs: fix.fixAtMs },
        untilMs: time.atMs,
      };
      addCrossing(state, row, crossed, emit);
    }
  },
  emitOpen(_course, state, emit) {
    for (const { crossed } of state.series) emit(crossed);
  },
};

/** A function of its own: its closure in the loop would be allocated for each gate and fix. */
function addCrossing(state: GateState, gate: Gate, crossed: GateCrossed, emit: Emit): void {
  const open = state.series.find(
    (series) => series.crossed.gateId === gate.id && series.crossed.direction === crossed.direction,
  );
  if (!open) {
    state.series.push({ deadTimeMs: gate.deadTimeS * 1000, crossed });
  } else if (crossed.atMs <= open.crossed.untilMs + open.deadTimeMs) {
    open.crossed = gate.crossing === 'last' ? crossed : { ...open.crossed, untilMs: crossed.untilMs };
  } else {
    emit(open.crossed);
    open.crossed = crossed;
  }
}
