/** What an event may set differently. Names end in the unit. */
export interface Thresholds {
  /** Between fixes that are farther apart no time is interpolated, and no speed is taken for granted. */
  readonly maximumGapS: number;
  /** A zone or a waypoint is left only this far beyond its edge, so that noise at the edge is one visit. */
  readonly edgeHysteresisM: number;
  /** Slower counts as standing. */
  readonly standingSpeedKmh: number;
  /** All fixes within this distance of the first one count as standing, whatever speeds they report. */
  readonly standingRadiusM: number;
  /** A vehicle that has been standing for this long stands. */
  readonly standingAfterS: number;
  /** SOS records that are farther apart are two incidents. */
  readonly sosGapS: number;
  /** Observations by two trackers of one entry that are this close are of the same event. */
  readonly mergeWithinS: number;
  /** How long before its scheduled start an entry's passings count on a stage. */
  readonly opensBeforeS: number;
  /** A vehicle without a record for longer than this is silent, by the time of arrival. */
  readonly silentAfterS: number;
  /** And for longer than this lost. */
  readonly lostAfterS: number;
  /** One that sends records, but no good fix for longer than this, has no fix. */
  readonly noFixAfterS: number;
  /** What `checkCourse` takes as the worst case for radii. */
  readonly expectedSpeedKmh: number;
  readonly fixIntervalS: number;
}

export const defaultThresholds: Thresholds = {
  maximumGapS: 30,
  edgeHysteresisM: 5,
  standingSpeedKmh: 5,
  standingRadiusM: 15,
  standingAfterS: 60,
  sosGapS: 60,
  mergeWithinS: 5,
  opensBeforeS: 900,
  silentAfterS: 30,
  lostAfterS: 600,
  noFixAfterS: 30,
  expectedSpeedKmh: 120,
  fixIntervalS: 1,
};
