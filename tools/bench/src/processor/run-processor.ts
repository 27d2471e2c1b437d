import type { Program } from '../program.ts';
import { startService } from '../start-service.ts';

/** The group that every consumer under measurement reads in. */
export const group = 'processor';
/** The processor's own defaults, which it is measured with; the raw loop has the same. */
export const batchSize = 1000;
export const concurrency = 3;

/** Starts the processor with its defaults but for where its servers are and what `env` sets. */
export function startProcessor(
  redisUrl: string,
  postgresUrl: string,
  stream: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  return startService('processor', {
    REDIS_URL: redisUrl,
    POSTGRES_URL: postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    REDIS_CONSUMER_GROUP: group,
    METRICS_PORT: '0',
    ...env,
  });
}
