import { inject } from 'vitest';

/** Provided to test files by vitest's global set-up. */
export interface TestServerAddresses {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  /** Copied for each test. */
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
      'no servers in this run: name the test file *.redis.test.ts, *.pg.test.ts or *.e2e.test.ts',
    );
  }
  return servers;
}
