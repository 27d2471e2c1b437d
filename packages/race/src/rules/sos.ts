import { isPositionGood } from '../fix.ts';
import type { SosSent } from '../observation.ts';
import type { Rule } from './rule.ts';

/** Panic records that follow each other within the gap. */
interface SosState {
  series: SosSent | undefined;
}

/** A panic record, wherever it says it is: also without satellites, with a wrong clock, or marked faulty. */
export const sosRule: Rule<SosState> = {
  name: 'sos',
  version: 1,
  fixes: 'all',
  start: () => ({ series: undefined }),
  step({ thresholds }, state, _previous, fix, emit) {
    if (fix.priority !== 2) return;
    const { series } = state;
    const { fixAtMs, latitude, longitude } = fix;
    const hasPosition = isPositionGood(fix);
    if (!series || fixAtMs - series.untilMs > thresholds.sosGapS * 1000) {
      if (series) emit(series);
      state.series = {
        kind: 'sos',
        fromMs: fixAtMs,
        untilMs: fixAtMs,
        latitude,
        longitude,
        isPositionGood: hasPosition,
      };
    } else if (hasPosition || !series.isPositionGood) {
      state.series = { ...series, untilMs: fixAtMs, latitude, longitude, isPositionGood: hasPosition };
    } else {
      state.series = { ...series, untilMs: fixAtMs };
    }
  },
  emitOpen(_course, { series }, emit) {
    if (series) emit(series);
  },
};
