/** A rule that threw is not used any more for the device, until it is evaluated anew. */
export interface RuleFailure {
  readonly rule: string;
  readonly ruleVersion: number;
  /** Of the fix that it could not handle. */
  readonly fixAtMs: number;
  readonly message: string;
}

/** A part of an entry's results that could not be judged; the others were. */
export interface JudgeFailure {
  /** None: its SOS. */
  readonly stageId: string | undefined;
  readonly message: string;
}
