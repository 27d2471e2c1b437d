import { Service } from '@app/test-kit/service';

export { cleanExit } from '@app/test-kit/program';
export type RunningProcessor = Service;

export interface ProcessorOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  /** One key, or several separated by commas. */
  readonly stream: string;
  /** Further settings, by their names in the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A module that is loaded into the process before its own code. */
  readonly preload?: URL;
}

/** Short waits, so that a test need not wait long for what production does after a minute. */
const quickSettings = {
  LOG_LEVEL: 'debug',
  METRICS_PORT: '0',
  BATCH_BLOCK_MS: '200',
  CLAIM_IDLE_MS: '300',
  CLAIM_INTERVAL_MS: '200',
  DRAIN_TIMEOUT_MS: '5000',
  WRITE_TIMEOUT_MS: '1000',
  // Ten years: the records of tests have fixed times.
  PAST_LIMIT_MS: '315360000000',
};

/** Starts the service and waits until its ops server listens; rejects with its last lines if it ends before. */
export async function startProcessor(options: ProcessorOptions): Promise<RunningProcessor> {
  const { redisUrl, postgresUrl, stream, env, preload } = options;
  const processor = new Service('processor', {
    env: {
      ...quickSettings,
      REDIS_URL: redisUrl,
      POSTGRES_URL: postgresUrl,
      REDIS_TELEMETRY_STREAM: stream,
      ...env,
    },
    preload: preload === undefined ? [] : [preload],
  });
  await processor.logged(/^ops listening$/u);
  return processor;
}
