import type { Race } from './course.ts';
import type { Fix } from './fix.ts';

export interface EventWindow {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * From the start of an event to its end. One without a start begins when its first stage opens: what trackers sent in years
 * before is not of this event. Without any scheduled start it has no beginning, and is refused by `checkCourse`.
 */
export function eventWindow({ event, stages, entries }: Race): EventWindow {
  const scheduled = [...stages, ...entries].flatMap(({ startAtMs }) => startAtMs ?? []);
  const firstMs = scheduled.length === 0 ? -Infinity : Math.min(...scheduled);
  return {
    fromMs: event.startAtMs ?? firstMs - event.thresholds.opensBeforeS * 1000,
    untilMs: event.endAtMs ?? Infinity,
  };
}

export function isDuring({ fromMs, untilMs }: EventWindow, { fixAtMs }: Fix): boolean {
  return fixAtMs >= fromMs && fixAtMs <= untilMs;
}
