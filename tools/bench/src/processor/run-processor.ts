import type { Service } from '@app/test-kit/service';
import { startService } from '../start-service.ts';

/** The consumer group of every consumer under measurement. */
export const group = 'processor';
/** The processor's defaults, which the raw loop uses too. */
export const batchSize = 1000;
export const concurrency = 3;

/** Starts the processor with its defaults, except for the servers and `env`. */
export async function startProcessor(
  redisUrl: string,
  postgresUrl: string,
  stream: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Service> {
  return await startService('processor', {
    REDIS_URL: redisUrl,
    POSTGRES_URL: postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    REDIS_CONSUMER_GROUP: group,
    METRICS_PORT: '0',
    ...env,
  });
}
