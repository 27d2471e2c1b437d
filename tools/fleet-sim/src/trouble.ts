/** How often the faults of real trackers are simulated. Chances are per fix. */
export interface Trouble {
  /** The acknowledgement was lost: the record is sent again. */
  readonly duplicateChance: number;
  /** No mobile network: records are sent afterwards, newest first. */
  readonly holeChance: number;
  readonly holeS: readonly [shortest: number, longest: number];
  /** No satellites (forest, tunnel): last valid coordinates, with speed and course 0. */
  readonly blindChance: number;
  readonly blindS: readonly [shortest: number, longest: number];
  /** The tracker reboots: sends nothing for a while, then 0/0 until its first fix. */
  readonly rebootChance: number;
  readonly bootS: readonly [shortest: number, longest: number];
  readonly searchS: readonly [shortest: number, longest: number];
  /** The panic button is pressed: an extra record, sent before all others. */
  readonly panicChance: number;
  /** Panic records have the fix time of a periodic one: the processor stores one and dead-letters the other (`same_time`). */
  readonly isPanicSameTime: boolean;
  /** Number of vehicles whose clock is 1,024 weeks behind (GPS week rollover). */
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

/** Records are sent twice, and nothing happens that changes results. */
export const duplicatesOnly: Trouble = {
  ...ordinaryTrouble,
  holeChance: 0,
  blindChance: 0,
  rebootChance: 0,
  panicChance: 0,
};

export const noTrouble: Trouble = { ...duplicatesOnly, duplicateChance: 0 };
