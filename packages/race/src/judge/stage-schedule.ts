import type { Entry, RaceEvent, Stage } from '../course.ts';

export interface StageSchedule {
  /** When the entry is to start; unknown without a start time, or for a start order that is missing. */
  readonly startAtMs: number | undefined;
  /** Before this nothing of the entry counts on the stage. */
  readonly opensAtMs: number;
}

/** @param isFirst whether the stage is the first of the event */
export function scheduleStage(event: RaceEvent, stage: Stage, entry: Entry, isFirst: boolean): StageSchedule {
  const startAtMs = isFirst && entry.startAtMs !== undefined ? entry.startAtMs : startByOrder(stage, entry);
  const opensAtMs =
    startAtMs === undefined
      ? (event.startAtMs ?? -Infinity)
      : startAtMs - event.thresholds.opensBeforeS * 1000;
  return { startAtMs, opensAtMs };
}

function startByOrder(stage: Stage, entry: Entry): number | undefined {
  if (stage.startAtMs === undefined || stage.startIntervalS === 0) return stage.startAtMs;
  if (entry.startOrder === undefined) return undefined;
  return stage.startAtMs + (entry.startOrder - 1) * stage.startIntervalS * 1000;
}
