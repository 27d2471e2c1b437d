/** One broken rule, as a person reads it: where, and what to do. */
export interface Problem {
  /** Relative to the repository's top. */
  readonly file: string;
  readonly message: string;
}

/** Reads the repository at `root` (absolute, without symbolic links) and says what breaks the rule. */
export type Rule = (root: string) => readonly Problem[];
