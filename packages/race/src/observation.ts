/** Low: the fixes were too far apart to say more than that it happened between them. */
export type Confidence = 'high' | 'low';

/** Fix times of the two fixes of a device between which something happened. */
export interface Bracket {
  readonly beforeAtMs: number;
  readonly afterAtMs: number;
}

/** Crossings of a gate in one direction that follow each other within its dead time, as the one that counts. */
export interface GateCrossed {
  readonly kind: 'gate';
  readonly gateId: string;
  readonly direction: 'forward' | 'backward';
  readonly atMs: number;
  /** At least 95 % of the true times are within ± this. */
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly fixes: Bracket;
  /** The last crossing of the series. */
  readonly untilMs: number;
}

/** A visit to a waypoint: its closest approach. */
export interface WaypointApproached {
  readonly kind: 'waypoint';
  readonly waypointId: string;
  readonly atMs: number;
  readonly distanceM: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly fixes: Bracket;
  readonly fromMs: number;
  /** The newest fix of the visit. */
  readonly untilMs: number;
}

/** Part of a visit to a speed zone that was driven above limit and tolerance, for at least the minimum duration. */
export interface SpeedingEpisode {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly maximumKmh: number;
  /** What was driven farther than at the limit. */
  readonly gainedM: number;
  readonly fixes: Bracket;
}

export interface ZoneVisited {
  readonly kind: 'zone';
  readonly zoneId: string;
  /** When the edge was crossed; the first fix, for a device that was inside from the beginning. */
  readonly fromMs: number;
  /** While the visit lasts, the newest fix. */
  readonly untilMs: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly fixes: Bracket;
  readonly isOpen: boolean;
  readonly episodes: readonly SpeedingEpisode[];
}

export interface Stood {
  readonly kind: 'standing';
  readonly fromMs: number;
  readonly untilMs: number;
  readonly isOpen: boolean;
  readonly latitude: number;
  readonly longitude: number;
}

export interface Progressed {
  readonly kind: 'progress';
  readonly stageId: string;
  readonly atMs: number;
  /** Along the stage's line. */
  readonly progressM: number;
  readonly isOffTrack: boolean;
}

export interface SosSent {
  readonly kind: 'sos';
  readonly fromMs: number;
  readonly untilMs: number;
  readonly latitude: number;
  readonly longitude: number;
  /** False: the coordinates are the last valid ones, or meaningless. */
  readonly isPositionGood: boolean;
}

interface ObservationByKind {
  gate: GateCrossed;
  waypoint: WaypointApproached;
  zone: ZoneVisited;
  standing: Stood;
  progress: Progressed;
  sos: SosSent;
}

export type ObservationOf<Kind extends keyof ObservationByKind> = ObservationByKind[Kind];
export type Observation = ObservationOf<keyof ObservationByKind>;
