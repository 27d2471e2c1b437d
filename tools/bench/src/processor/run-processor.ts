import { startProgram, type Program } from '../program.ts';

/** The group that every consumer under measurement reads in. */
export const group = 'processor';
/** The processor's own defaults, which it is measured with; the raw loop has the same. */
export const batchSize = 1000;
export const concurrency = 3;

const main = new URL('../../../../services/processor/src/main.ts', import.meta.url);

/** Starts the real service, with its defaults but for where its servers are and what `env` sets. */
export function startProcessor(
  redisUrl: string,
  postgresUrl: string,
  stream: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  return startProgram(main, {
    REDIS_URL: redisUrl,
    POSTGRES_URL: postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    REDIS_CONSUMER_GROUP: group,
    METRICS_PORT: '0',
    ...env,
  });
}
