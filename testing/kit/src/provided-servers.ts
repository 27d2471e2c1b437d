import { inject } from 'vitest';

/** What vitest's global set-up gives to the test files, by `provide('testServers', …)`. */
export interface TestServerAddresses {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  /** The migrated database that each test's own is a copy of. */
  readonly templateDatabase: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly testServers: TestServerAddresses;
  }
}

/** The servers of this test run. */
export function providedServers(): TestServerAddresses {
  const servers: TestServerAddresses | undefined = inject('testServers');
  if (servers === undefined) {
    throw new Error(
      'This run has no servers: name the test file *.redis.test.ts, *.pg.test.ts or *.e2e.test.ts',
    );
  }
  return servers;
}
