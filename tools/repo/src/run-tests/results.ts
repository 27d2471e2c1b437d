import { z } from 'zod';

/** What one run of vitest leaves behind for the count: written by the reporter, read by the verdict. */
export const results = z.object({
  tests: z.array(
    z.object({
      /** Relative to vitest's root. */
      file: z.string(),
      /** Suites and test, joined by ` > `. */
      name: z.string(),
      state: z.enum(['passed', 'failed', 'skipped', 'pending']),
    }),
  ),
  /** A file that could not be imported, or a suite whose hook failed: no test of it needs to have failed. */
  brokenSuites: z.array(z.string()),
  /** What was thrown outside of every test. */
  unhandledErrors: z.array(z.string()),
});

export type Results = Readonly<z.infer<typeof results>>;
