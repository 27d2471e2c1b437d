import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram, type Program } from '../program.ts';

/** The group that every consumer under measurement reads in. */
export const group = 'processor';
/** The processor's own defaults, which it is measured with; the raw loop has the same. */
export const batchSize = 1000;
export const concurrency = 3;

const service = new URL('../../../../services/processor/', import.meta.url);
const main = new URL('src/main.ts', service);
let compiledSources: string | undefined;

/** Starts the real service as its image does, with its defaults but for where its servers are and what `env` sets. */
export function startProcessor(
  redisUrl: string,
  postgresUrl: string,
  stream: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  return startProgram(
    main,
    {
      NODE_COMPILE_CACHE: (compiledSources ??= compileSources()),
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

/** As the image does when it is built: started without settings, the service ends when all of it is loaded. */
function compileSources(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bench-compiled-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const { status } = spawnSync(process.execPath, [...nodeOptionsOfImage(), fileURLToPath(main)], {
    env: { NODE_COMPILE_CACHE: directory },
    stdio: 'ignore',
  });
  if (status !== 78) throw new Error(`the processor ended with ${status}, not for want of settings`);
  return directory;
}

/** Node's options in the command of the processor's image: the memory that it may take costs or saves CPU. */
export function nodeOptionsOfImage(): readonly string[] {
  const dockerfile = readFileSync(new URL('Dockerfile', service), 'utf8');
  const command: unknown = JSON.parse(/^CMD (\[.*\])$/mu.exec(dockerfile)?.[1] ?? 'null');
  if (!Array.isArray(command)) throw new Error("the processor's Dockerfile has no CMD in JSON");
  return command.filter((word): word is string => typeof word === 'string' && word.startsWith('--'));
}
