import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { ConfigError, readConfig } from '@app/runtime/config';
import { UsageError } from '@app/runtime/read-arguments';
import { runTool } from '@app/runtime/run-tool';
import type { Credentials } from './ask-directus.ts';
import { examine } from './examine.ts';
import { printReport } from './print-report.ts';
import { type DoctorArguments, readArguments, usage } from './read-arguments.ts';
import { doctorSettings, type DoctorConfig } from './settings.ts';

process.exitCode = await runTool({
  name: 'doctor',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: main,
});

async function main(args: DoctorArguments): Promise<number> {
  try {
    const config = readConfig(doctorSettings, process.env);
    const { eventId, origin, email } = args;
    const visitor = { credentials: await readCredentials(args, config), email };
    const groups = await examine(config, eventId === undefined ? undefined : { eventId, origin, visitor });
    console.log(printReport(groups));
    const hasFailed = groups.some(({ findings }) => findings.some(({ level }) => level === 'failed'));
    return hasFailed ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`doctor: ${error.message}`);
    return error.exitCode;
  }
}

/** From files, since a command line is visible to every user of the machine. */
async function readCredentials(args: DoctorArguments, config: DoctorConfig): Promise<Credentials> {
  const { sessionFile, tokenFile } = args;
  if (sessionFile !== undefined) {
    return { cookie: `${config.DIRECTUS_SESSION_COOKIE}=${await readSecret('--session', sessionFile)}` };
  }
  if (tokenFile !== undefined) return { authorization: `Bearer ${await readSecret('--token', tokenFile)}` };
  return {};
}

async function readSecret(option: string, path: string): Promise<string> {
  const content = await (path === '-' ? text(process.stdin) : readFile(path, 'utf8')).catch(
    (error: unknown) => {
      throw new UsageError([`${option}: ${error instanceof Error ? error.message : String(error)}`]);
    },
  );
  const value = content.trim();
  if (!/^[\x21-\x7e]+$/u.test(value)) throw new UsageError([`${option} must hold one value without spaces`]);
  return value;
}
