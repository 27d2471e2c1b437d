import type { Bracket, Confidence } from './observation.ts';
import type { JudgeFailure, RuleFailure } from './rule-failure.ts';

/** The two fixes between which a result happened, and the tracker that sent them. */
export interface BracketingFixes extends Bracket {
  readonly deviceId: string;
}

interface Row {
  /** The same for the same thing after every evaluation: event, entry, rule, target and number. */
  readonly key: string;
  readonly eventId: string;
  readonly entryId: string;
  readonly stageId: string;
  readonly ruleVersion: number;
  readonly confidence: Confidence;
  /** Whether a decision of race control touched it. */
  readonly isDecided: boolean;
}

interface SeenRow extends Row {
  /** The how-manieth of its gate, waypoint or zone, by time. */
  readonly lap: number;
  /** None where a decision alone says so. */
  readonly fixes: BracketingFixes | undefined;
}

/** Why a passing counts or not. */
export type PassingVerdict =
  | 'counted'
  /** Another passing of the same gate counts. */
  | 'repeated'
  /** Does not fit into the longest series in the order of the gates. */
  | 'out_of_order'
  | 'wrong_direction'
  /** Before the stage opened for the entry. */
  | 'too_early'
  | 'suppressed';

export interface PassingRow extends SeenRow {
  readonly rule: 'gate';
  readonly gateId: string;
  readonly direction: 'forward' | 'backward';
  readonly atMs: number;
  readonly uncertaintyMs: number;
  readonly verdict: PassingVerdict;
}

export interface WaypointRow extends SeenRow {
  readonly rule: 'waypoint';
  readonly waypointId: string;
  readonly verdict: 'passed' | 'missed';
  /** Of a passed one. */
  readonly atMs: number | undefined;
  readonly uncertaintyMs: number | undefined;
  /** Closest approach; unknown where a decision alone says that it was passed. */
  readonly distanceM: number | undefined;
  readonly penaltyMs: number;
}

export interface ZoneEpisodeRow extends SeenRow {
  readonly rule: 'zone';
  readonly zoneId: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly maximumKmh: number;
  readonly durationMs: number;
  readonly gainedM: number;
  /** The time that the gained metres take at the limit. */
  readonly gainedMs: number;
  readonly penaltyMs: number;
  readonly verdict: 'counted' | 'suppressed';
}

export interface IncidentRow extends Omit<SeenRow, 'stageId'> {
  readonly rule: 'standing' | 'sos';
  /** None for an SOS, which is one wherever the vehicle is. */
  readonly stageId: string | undefined;
  readonly fromMs: number;
  readonly untilMs: number;
  /** An SOS stays open until a decision resolves it, a stop until the vehicle moves as well. */
  readonly isOpen: boolean;
  readonly latitude: number;
  readonly longitude: number;
  readonly isPositionGood: boolean;
}

export type StageStatus =
  | 'not_started'
  | 'dns'
  | 'on_stage'
  | 'finished'
  | 'dnf'
  /** Finished, or still on the stage, after the time limit. */
  | 'otl'
  | 'dsq';

export interface StageResultRow extends Row {
  readonly rule: 'stage';
  readonly status: StageStatus;
  readonly startAtMs: number | undefined;
  readonly finishAtMs: number | undefined;
  /** From start to finish. */
  readonly elapsedMs: number | undefined;
  /** ± of `elapsedMs`. */
  readonly uncertaintyMs: number | undefined;
  readonly penaltyMs: number;
  /** With penalties. */
  readonly totalMs: number | undefined;
  /** A decision asks for a time derived from other stages. */
  readonly isToBeDerived: boolean;
  readonly isDerived: boolean;
  readonly gatesPassed: number;
  readonly lastGateAtMs: number | undefined;
  readonly missedWaypoints: number;
  /** Farthest since the start. */
  readonly progressM: number | undefined;
  readonly isOffTrack: boolean;
}

export interface EntryResults {
  readonly entryId: string;
  readonly passings: readonly PassingRow[];
  readonly waypoints: readonly WaypointRow[];
  readonly zoneEpisodes: readonly ZoneEpisodeRow[];
  readonly incidents: readonly IncidentRow[];
  /** By the order of the stages. */
  readonly stages: readonly StageResultRow[];
  /** Rules that do not work for a tracker of the entry, and why: results that depend on them are incomplete. */
  readonly failures: readonly (RuleFailure & { readonly deviceId: string })[];
  /** What has no rows, and why. */
  readonly judgeFailures: readonly JudgeFailure[];
}

export function rowKey(eventId: string, entryId: string, rule: string, targetId: string, lap = 1): string {
  return `${eventId}/${entryId}/${rule}/${targetId}/${lap}`;
}
