import { openServerFixture, type ServerFixture } from '@app/test-kit/server-fixture';
import { expectAllStored, type Promised } from './expect-all-stored.ts';
import { startProcessor, type ProcessorOptions, type RunningProcessor } from './start-processor.ts';

/** One stream and one database, and processors on them. */
export interface Fixture extends ServerFixture {
  /** Starts a processor; it ends with the fixture. */
  start(options?: Partial<ProcessorOptions>): Promise<RunningProcessor>;
  /** `expectAllStored` of this stream and database. */
  expectStored(
    sent: Promised['sent'],
    options?: { readonly deadLettered?: ReadonlyMap<string, string>; readonly timeoutMs?: number },
  ): Promise<void>;
}

/** Opens the run's servers where no other is given. */
export async function openFixture(given: Parameters<typeof openServerFixture>[0] = {}): Promise<Fixture> {
  const servers = await openServerFixture(given);
  const { redisUrl, postgresUrl, redis, sql, stream } = servers;
  return {
    ...servers,
    start: async (options = {}) =>
      servers.use(await startProcessor({ redisUrl, postgresUrl, stream, ...options })),
    expectStored: (sent, { deadLettered = new Map(), timeoutMs } = {}) =>
      expectAllStored({ redis, sql, stream, sent, deadLettered }, timeoutMs),
  };
}
