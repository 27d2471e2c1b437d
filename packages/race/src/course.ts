import type { GeoPoint } from '@app/geometry/geo-point';
import type { GeoJsonPosition } from '@app/geometry/plane-coordinates';
import type { Decision } from './decision.ts';
import type { Thresholds } from './thresholds.ts';

// Rows as race control enters them. Ids are UUIDs; times are epoch milliseconds.

export interface RaceEvent {
  readonly id: string;
  readonly name: string;
  readonly startAtMs: number | undefined;
  readonly endAtMs: number | undefined;
  readonly thresholds: Thresholds;
}

export interface Stage {
  readonly id: string;
  readonly name: string;
  readonly order: number;
  /** Incidents are raised on specials only; liaisons are not timed. */
  readonly kind: 'special' | 'liaison' | 'leg';
  /** The measured centre line, from start to finish. */
  readonly line: readonly GeoJsonPosition[] | undefined;
  /** Scheduled start of the entry with start order 1. */
  readonly startAtMs: number | undefined;
  /** Between one start order and the next; 0 is a mass start. */
  readonly startIntervalS: number;
  /** What the time is measured from. */
  readonly startBy: 'schedule' | 'gate';
  readonly timeLimitS: number | undefined;
}

export interface Gate {
  readonly id: string;
  readonly stageId: string;
  readonly name: string;
  readonly order: number;
  readonly kind: 'start' | 'split' | 'finish';
  /** The posts as a crew sees them that passes the gate forwards. */
  readonly left: GeoPoint;
  readonly right: GeoPoint;
  readonly direction: 'forward' | 'both';
  /** Of crossings that follow each other within this time one counts: the first, or for `last` the last. */
  readonly deadTimeS: number;
  readonly crossing: 'first' | 'last';
}

export interface Waypoint {
  readonly id: string;
  readonly stageId: string;
  readonly name: string;
  readonly order: number;
  readonly position: GeoPoint;
  readonly radiusM: number;
  readonly kind: 'visible' | 'hidden';
  readonly isAnyOrder: boolean;
  /** Added to the stage time if it is missed. */
  readonly missedPenaltyS: number;
}

export interface Zone {
  readonly id: string;
  readonly stageId: string;
  readonly name: string;
  readonly kind: 'speed' | 'protected';
  /** A polygon, or what is driven between two waypoints: from leaving one's radius to reaching the other's. */
  readonly area:
    | { readonly polygon: readonly GeoJsonPosition[] }
    | { readonly fromWaypointId: string; readonly toWaypointId: string };
  /** Of a speed zone. */
  readonly limitKmh: number;
  /** Speeds up to the limit plus this are not reported; what is gained counts from the limit. */
  readonly toleranceKmh: number;
  /** The first metres of a visit that are not judged. */
  readonly graceM: number;
  readonly minimumDurationS: number;
  /** The time gained is multiplied by this. */
  readonly penaltyFactor: number;
}

/** What the observations depend on. */
export interface Course {
  readonly thresholds: Thresholds;
  readonly stages: readonly Stage[];
  readonly gates: readonly Gate[];
  readonly waypoints: readonly Waypoint[];
  readonly zones: readonly Zone[];
}

export interface Entry {
  readonly id: string;
  readonly number: string;
  readonly crew: string;
  readonly class: string;
  readonly startOrder: number | undefined;
  /** For the first stage, instead of the one by the start order. */
  readonly startAtMs: number | undefined;
  /** Withdrawn from the whole event, or not. */
  readonly status: 'entered' | 'dns' | 'dnf' | 'dsq';
}

/** Which tracker is in which entry. An entry may have several; `order` decides between equals. */
export interface Assignment {
  readonly id: string;
  readonly entryId: string;
  /** As in `positions`, the IMEI. */
  readonly deviceId: string;
  readonly order: number;
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
}

export interface Race extends Omit<Course, 'thresholds'> {
  readonly event: RaceEvent;
  readonly entries: readonly Entry[];
  readonly assignments: readonly Assignment[];
  readonly decisions: readonly Decision[];
}
