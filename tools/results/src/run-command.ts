import { readFile } from 'node:fs/promises';
import { connectDirectus, DirectusRefusal } from '@app/directus-setup/directus-api';
import { commonSettings, ConfigError, readConfig, secret, string, urlOf } from '@app/runtime/config';
import { messageOf } from '@app/runtime/message-of';
import { z } from 'zod';
import { openPostgres, openPostgresClient, openRedis, withPostgres } from './connect.ts';
import { announceEvaluation, evaluateEvent } from './evaluate/evaluate-event.ts';
import { printEvaluation } from './evaluate/print-evaluation.ts';
import { exportEvent } from './export/export-event.ts';
import { importStartList } from './import/import-start-list.ts';
import type { ResultsArguments } from './read-arguments.ts';
import { failed, Refusal, unavailable } from './refusal.ts';

type ArgumentsOf<Command> = Extract<ResultsArguments, { readonly command: Command }>;

const { POSTGRES_URL, REDIS_URL } = commonSettings;
const directusSettings = z.object({
  DIRECTUS_BASE_URL: urlOf('http:', 'https:')
    .transform((url) => url.replace(/\/+$/u, ''))
    .meta({ example: 'http://localhost:8055' }),
  DIRECTUS_TOKEN: secret(string()),
});

export interface Output {
  readonly print: (line: string) => void;
  readonly printError: (line: string) => void;
}

/** Codes of Directus for a token that it does not know, cannot read or no longer accepts. */
const refusesToken: ReadonlySet<string | undefined> = new Set([
  'INVALID_CREDENTIALS',
  'INVALID_TOKEN',
  'TOKEN_EXPIRED',
]);

/** Runs a command with the settings of an environment, and returns the exit code. */
export async function runCommand(
  args: ResultsArguments,
  env: NodeJS.ProcessEnv,
  { print, printError }: Output,
): Promise<number> {
  try {
    await run(args, env, print);
    return 0;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof Refusal) {
      for (const line of error.message.split('\n')) printError(line);
      return error.exitCode;
    }
    if (!(error instanceof DirectusRefusal)) throw error;
    const advice = refusesToken.has(error.code)
      ? 'check DIRECTUS_TOKEN'
      : 'an import that was interrupted is completed by the next run';
    printError(`${error.message}; ${advice}`);
    return error.code === undefined ? unavailable : failed;
  }
}

type Print = Output['print'];

async function run(args: ResultsArguments, env: NodeJS.ProcessEnv, print: Print): Promise<void> {
  switch (args.command) {
    case 'evaluate':
      return await evaluate(args, env, print);
    case 'export':
      return await exportFiles(args, env, print);
    case 'import-start-list':
      return await importList(args, env, print);
  }
}

async function evaluate(
  { eventId, isDryRun }: ArgumentsOf<'evaluate'>,
  env: NodeJS.ProcessEnv,
  print: Print,
): Promise<void> {
  const config = readConfig(z.object({ POSTGRES_URL, REDIS_URL: REDIS_URL.optional() }), env);
  const startedAtMs = performance.now();
  await using postgres = openPostgresClient(config.POSTGRES_URL);
  const evaluation = await withPostgres(() => evaluateEvent(postgres, eventId, isDryRun));
  for (const line of printEvaluation(evaluation, (performance.now() - startedAtMs) / 1000)) print(line);
  if (isDryRun) return;
  if (config.REDIS_URL === undefined) {
    print(
      'not announced, since REDIS_URL is not set: gateways show the results when they read the tables again',
    );
    return;
  }
  using connected = openRedis(config.REDIS_URL);
  await announceEvaluation(connected.redis, eventId, evaluation);
}

async function exportFiles(args: ArgumentsOf<'export'>, env: NodeJS.ProcessEnv, print: Print): Promise<void> {
  const config = readConfig(z.object({ POSTGRES_URL }), env);
  await using postgres = openPostgres(config.POSTGRES_URL);
  const { files, withoutFixes } = await withPostgres(() => exportEvent(postgres.sql, args));
  print(`wrote ${args.output}${files.length === 0 ? '' : `: ${files.length} files`}`);
  if (withoutFixes.length > 0) print(`without a good fix, and without a file: ${withoutFixes.join(', ')}`);
}

async function importList(
  args: ArgumentsOf<'import-start-list'>,
  env: NodeJS.ProcessEnv,
  print: Print,
): Promise<void> {
  const config = readConfig(directusSettings, env);
  const { eventId, file, date, timeZone, isDryRun } = args;
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new Refusal(`--file cannot be read: ${messageOf(error)}`, failed, { cause: error });
  });
  const api = connectDirectus(config.DIRECTUS_BASE_URL, config.DIRECTUS_TOKEN);
  for (const line of await importStartList(api, { eventId, bytes, local: { date, timeZone }, isDryRun })) {
    print(line);
  }
}
