import { readFileSync } from 'node:fs';
import { startProgram, type Program } from '../program.ts';

/** The group that every consumer under measurement reads in. */
export const group = 'processor';
/** The processor's own defaults, which it is measured with; the raw loop has the same. */
export const batchSize = 1000;
export const concurrency = 3;

const service = new URL('../../../../services/processor/', import.meta.url);

/** Starts the real service as its image does, with its defaults but for where its servers are and what `env` sets. */
export function startProcessor(
  redisUrl: string,
  postgresUrl: string,
  stream: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  return startProgram(
    new URL('src/main.ts', service),
    {
      REDIS_URL: redisUrl,
      POSTGRES_URL: postgresUrl,
      REDIS_TELEMETRY_STREAM: stream,
      REDIS_CONSUMER_GROUP: group,
      METRICS_PORT: '0',
      ...env,
    },
    nodeOptionsOfImage(),
  );
}

/** Node's options in the command of the processor's image: the memory that it may take costs or saves CPU. */
export function nodeOptionsOfImage(): readonly string[] {
  const dockerfile = readFileSync(new URL('Dockerfile', service), 'utf8');
  const command: unknown = JSON.parse(/^CMD (\[.*\])$/mu.exec(dockerfile)?.[1] ?? 'null');
  if (!Array.isArray(command)) throw new Error("the processor's Dockerfile has no CMD in JSON");
  return command.filter((word): word is string => typeof word === 'string' && word.startsWith('--'));
}
