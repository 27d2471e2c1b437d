/** A violation of a rule: where, and how to fix it. */
export interface Problem {
  /** Relative to the repository root. */
  readonly file: string;
  readonly message: string;
}

/** Returns the violations in the repository at `root` (absolute, without symbolic links). */
export type Rule = (root: string) => readonly Problem[];
