import type { Course, Entry, Gate, RaceEvent, Stage } from '../course.ts';
import { decisionsOf, type DecidedStatus, type Decision } from '../decision.ts';
import type { Confidence } from '../observation.ts';
import type { StageStatus } from '../rows.ts';
import { judgeGates, type JudgedPassing } from './judge-gates.ts';
import { judgeStops, type JudgedStop } from './judge-incidents.ts';
import { judgeWaypoints, type JudgedWaypoint, type StageWindow } from './judge-waypoints.ts';
import { judgeZones, type JudgedEpisode } from './judge-zones.ts';
import { seenOf, type DeviceSeen } from './device-seen.ts';
import { scheduleStage, type StageSchedule } from './stage-schedule.ts';

/** An entry with what its trackers saw, in the order of the assignments, and the decisions about it. */
export interface EntrySeen {
  readonly entry: Entry;
  readonly devices: readonly DeviceSeen[];
  readonly decisions: readonly Decision[];
}

export interface JudgedStage {
  readonly passings: readonly JudgedPassing[];
  readonly waypoints: readonly JudgedWaypoint[];
  readonly episodes: readonly JudgedEpisode[];
  readonly stops: readonly JudgedStop[];
  readonly status: StageStatus;
  readonly startAtMs: number | undefined;
  readonly finishAtMs: number | undefined;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly penaltyMs: number;
  readonly isToBeDerived: boolean;
  readonly isDecided: boolean;
  readonly progress: { readonly progressM: number; readonly isOffTrack: boolean } | undefined;
}

/** What an entry did on one stage, as far as it can be told at `asOfMs`. */
export function judgeStage(
  event: RaceEvent,
  course: Course,
  stage: Stage,
  seen: EntrySeen,
  asOfMs: number,
): JudgedStage {
  const { entry, devices, decisions } = seen;
  const { thresholds } = event;
  const ofStage = <Row extends { readonly stageId: string }>(rows: readonly Row[]) =>
    rows.filter(({ stageId }) => stageId === stage.id);
  const schedule = scheduleStage(event, stage, entry, stage === course.stages[0]);

  const passings = judgeGates(ofStage(course.gates), devices, decisions, (gate) =>
    opensAtMs(stage, schedule, gate),
  );
  const counted = passings.filter(({ verdict }) => verdict === 'counted');
  const start = startOf(stage, schedule, counted);
  const finish = counted.find(
    ({ gate, atMs }) => gate.kind === 'finish' && atMs > (start?.atMs ?? -Infinity),
  );
  const closesAtMs = closeOf(event, stage, start?.atMs ?? schedule.startAtMs);
  const isOver = finish !== undefined || asOfMs > closesAtMs;

  const setsOffAtMs = counted.find(({ gate }) => gate.kind === 'start')?.atMs ?? -Infinity;
  const progress = start && progressOn(stage, devices, Math.max(start.atMs, setsOffAtMs), closesAtMs);
  const decided = decidedStatus(entry, stage, decisions);
  const isEvident = counted.length > 0 || progress !== undefined;
  const status = decideStatus(decided, {
    isFinished: finish !== undefined,
    isOverLimit:
      stage.timeLimitS !== undefined &&
      start !== undefined &&
      (finish?.atMs ?? asOfMs) > start.atMs + stage.timeLimitS * 1000,
    isClosed: asOfMs > closesAtMs,
    isStarted: isEvident || (stage.startBy === 'schedule' && start !== undefined && asOfMs >= start.atMs),
    isEvident,
  });

  const window: StageWindow = {
    fromMs: start?.atMs ?? Infinity,
    untilMs: finish?.atMs ?? Math.min(closesAtMs, asOfMs),
    isOver: isOver && (status === 'finished' || status === 'otl'),
  };
  const mergeWithinMs = thresholds.mergeWithinS * 1000;
  const waypoints = judgeWaypoints(ofStage(course.waypoints), devices, decisions, window, mergeWithinMs);
  const zones = ofStage(course.zones);
  const episodes = judgeZones(zones, devices, decisions, window, mergeWithinMs);
  const isRetired = status !== 'on_stage' && status !== 'not_started';
  const stops = judgeStops(
    stage,
    zones,
    devices,
    decisions,
    { ...window, isOver: isOver || isRetired },
    thresholds,
  );
  const penalties = decisionsOf(decisions, 'penalty').filter(({ stageId }) => stageId === stage.id);
  const isToBeDerived = decisionsOf(decisions, 'derived_time').some(({ stageId }) => stageId === stage.id);

  return {
    passings,
    waypoints,
    episodes,
    stops,
    status,
    startAtMs: start?.atMs,
    finishAtMs: finish?.atMs,
    uncertaintyMs: Math.hypot(start?.uncertaintyMs ?? 0, finish?.uncertaintyMs ?? 0),
    confidence: start?.confidence === 'low' || finish?.confidence === 'low' ? 'low' : 'high',
    penaltyMs:
      episodes.reduce((sum, { penaltyMs }) => sum + penaltyMs, 0) +
      waypoints.reduce(
        (sum, one) => sum + (one.verdict === 'missed' ? one.waypoint.missedPenaltyS * 1000 : 0),
        0,
      ) +
      penalties.reduce((sum, { penaltyS }) => sum + penaltyS * 1000, 0),
    isToBeDerived,
    isDecided:
      decided !== undefined ||
      isToBeDerived ||
      penalties.length > 0 ||
      episodes.some(({ isSuppressed }) => isSuppressed) ||
      [...passings, ...waypoints].some((one) => one.isDecided),
    progress,
  };
}

/** A start may be passed early; what follows a start by schedule, not before that. */
function opensAtMs(stage: Stage, schedule: StageSchedule, gate: Gate): number {
  const isAfterSchedule = stage.startBy === 'schedule' && gate.kind !== 'start';
  return isAfterSchedule ? (schedule.startAtMs ?? schedule.opensAtMs) : schedule.opensAtMs;
}

interface Start {
  readonly atMs: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
}

/**
 * Where the time is measured from. If the start gate was not seen and a later one was, it is the scheduled start, and if
 * there is no schedule the passing of the gate, both with low confidence.
 */
function startOf(
  stage: Stage,
  schedule: StageSchedule,
  counted: readonly JudgedPassing[],
): Start | undefined {
  const passing = counted.find(({ gate }) => gate.kind === 'start');
  if (passing && (stage.startBy === 'gate' || passing.isDecided)) return passing;
  if (schedule.startAtMs === undefined) return passing && { ...passing, confidence: 'low' };
  if (stage.startBy === 'gate' && counted.length === 0) return undefined;
  return {
    atMs: schedule.startAtMs,
    uncertaintyMs: 0,
    confidence: stage.startBy === 'schedule' ? 'high' : 'low',
  };
}

function closeOf(event: RaceEvent, stage: Stage, startAtMs: number | undefined): number {
  const endsAtMs = event.endAtMs ?? Infinity;
  return stage.timeLimitS === undefined || startAtMs === undefined
    ? endsAtMs
    : Math.min(endsAtMs, startAtMs + stage.timeLimitS * 1000);
}

interface Known {
  readonly isFinished: boolean;
  readonly isOverLimit: boolean;
  readonly isClosed: boolean;
  readonly isStarted: boolean;
  /** Seen on the stage, not only due there. */
  readonly isEvident: boolean;
}

function decideStatus(
  decided: { readonly status: DecidedStatus; readonly isForStage: boolean } | undefined,
  known: Known,
): StageStatus {
  if (decided?.isForStage || decided?.status === 'dsq') return decided.status;
  if (known.isFinished) return known.isOverLimit ? 'otl' : 'finished';
  if (decided) return known.isEvident ? decided.status : 'dns';
  if (!known.isStarted) return known.isClosed ? 'dns' : 'not_started';
  if (!known.isClosed) return 'on_stage';
  if (!known.isEvident) return 'dns';
  return known.isOverLimit ? 'otl' : 'dnf';
}

/** The newest decision about this stage, else the newest about all, else what the entry says. */
function decidedStatus(
  entry: Entry,
  stage: Stage,
  decisions: readonly Decision[],
): { readonly status: DecidedStatus; readonly isForStage: boolean } | undefined {
  const made = decisionsOf(decisions, 'status');
  const ofStage = made.findLast(({ stageId }) => stageId === stage.id);
  if (ofStage) return { status: ofStage.status, isForStage: true };
  const ofAll = made.findLast(({ stageId }) => stageId === undefined);
  if (ofAll) return { status: ofAll.status, isForStage: false };
  return entry.status === 'entered' ? undefined : { status: entry.status, isForStage: false };
}

/**
 * The farthest along the line since the start, and whether the newest fix is off it. Of several trackers the farthest counts.
 * What follows the finish is included: it brings the progress from the last fix before it to the end of the line.
 */
function progressOn(
  stage: Stage,
  devices: readonly DeviceSeen[],
  fromMs: number,
  untilMs: number,
): JudgedStage['progress'] {
  const seen = devices
    .flatMap((device) => seenOf(device, 'progress', stage.id))
    .filter(({ atMs }) => atMs >= fromMs && atMs <= untilMs);
  const [first] = seen;
  if (!first) return undefined;
  const newest = seen.reduce((a, b) => (b.atMs > a.atMs ? b : a), first);
  return {
    progressM: seen.reduce((farthest, { progressM }) => Math.max(farthest, progressM), 0),
    isOffTrack: newest.isOffTrack,
  };
}
