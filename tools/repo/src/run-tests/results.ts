import { z } from 'zod';

/** Results of a vitest run, written by the reporter. */
export const results = z.object({
  tests: z.array(
    z.object({
      /** Relative to vitest's root. */
      file: z.string(),
      /** Suites and test joined by ` > `. */
      name: z.string(),
      state: z.enum(['passed', 'failed', 'skipped', 'pending']),
    }),
  ),
  /** Files that could not be imported and suites whose hook failed, possibly without a failed test. */
  brokenSuites: z.array(z.string()),
  /** Errors thrown outside tests. */
  unhandledErrors: z.array(z.string()),
});

export type Results = Readonly<z.infer<typeof results>>;
