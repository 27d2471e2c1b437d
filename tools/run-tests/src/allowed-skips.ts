export interface AllowedSkip {
  /** From the repository's top. */
  readonly file: string;
  /** Suites and test, joined by ` > `. */
  readonly name: string;
  /** What is missing where it is skipped. */
  readonly reason: string;
}

/** Every test that may be skipped somewhere. A skip that is not here is a failure. */
export const allowedSkips: readonly AllowedSkip[] = [];
