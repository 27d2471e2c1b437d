import { ConfigError, readConfig } from '@app/runtime/config';
import { messageOf } from '@app/runtime/message-of';
import { readArguments } from '@app/runtime/read-arguments';
import { runTool } from '@app/runtime/run-tool';
import type { Login } from './create-login-role.ts';
import { migrate } from './migrate.ts';
import { migrateSettings } from './settings.ts';

const usage = `usage: ./run migrate

Applies the pending migrations to the database at POSTGRES_URL and gives the services' roles their rights; may be run
again. Creates or updates the logins whose passwords are set: PROCESSOR_PASSWORD, GATEWAY_PASSWORD, PRUNER_PASSWORD.

Exit codes: 0 migrated or up to date, 1 failed, 2 wrong usage, 78 missing or invalid setting.`;

process.exitCode = await runTool({
  name: 'migrate',
  usage,
  read: () => readArguments(process.argv.slice(2), {}),
  run: main,
});

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort(new Error(`stopped by ${signal}; the transaction was rolled back`));
    });
  }
  try {
    const config = readConfig(migrateSettings, process.env);
    const logins: readonly Login[] = [
      ...loginOf('processor', 'tracking_processor', config.PROCESSOR_PASSWORD),
      ...loginOf('live_gateway', 'tracking_gateway', config.GATEWAY_PASSWORD),
      ...loginOf('pruner', 'tracking_pruner', config.PRUNER_PASSWORD),
    ];
    const applied = await migrate(config.POSTGRES_URL, {
      signal: stop.signal,
      log: (line) => console.error(line),
      logins,
    });
    for (const name of applied) console.log(`applied ${name}`);
    console.log(applied.length === 0 ? 'up to date' : `${applied.length} applied`);
    return 0;
  } catch (error) {
    console.error(`migrate: ${messageOf(error)}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

function loginOf(
  name: Login['name'],
  memberOf: Login['memberOf'],
  password: string | undefined,
): readonly Login[] {
  return password === undefined ? [] : [{ name, memberOf, password }];
}
