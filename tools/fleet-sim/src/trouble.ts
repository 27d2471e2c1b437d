/** How often what happens to real trackers happens here. Chances are per fix. */
export interface Trouble {
  /** The server's answer was lost: the same record is sent again. */
  readonly duplicateChance: number;
  /** No mobile network: what was recorded comes afterwards, newest first. */
  readonly holeChance: number;
  readonly holeS: readonly [shortest: number, longest: number];
  /** No satellites (forest, tunnel): the last valid coordinates, speed and course 0. */
  readonly blindChance: number;
  readonly blindS: readonly [shortest: number, longest: number];
  /** The tracker starts anew: nothing for a while, then 0/0 until the first fix. */
  readonly rebootChance: number;
  readonly bootS: readonly [shortest: number, longest: number];
  readonly searchS: readonly [shortest: number, longest: number];
  /** Someone presses the button: a record of its own, sent before all that waits. */
  readonly panicChance: number;
  /**
   * A panic record bears the stamp of the periodic one beside it. The two differ
   * and only one can be stored: the processor parks the other as `same_time`.
   */
  readonly isPanicSameTime: boolean;
  /** Vehicles whose clock is 1,024 weeks slow: the GPS week counter has rolled over. */
  readonly slowClocks: number;
}

export const ordinaryTrouble: Trouble = {
  duplicateChance: 1 / 100,
  holeChance: 1 / 400,
  holeS: [3, 45],
  blindChance: 1 / 400,
  blindS: [3, 20],
  rebootChance: 1 / 2_000,
  bootS: [5, 15],
  searchS: [2, 8],
  panicChance: 1 / 2_000,
  isPanicSameTime: false,
  slowClocks: 0,
};

export const noTrouble: Trouble = {
  ...ordinaryTrouble,
  duplicateChance: 0,
  holeChance: 0,
  blindChance: 0,
  rebootChance: 0,
  panicChance: 0,
};
