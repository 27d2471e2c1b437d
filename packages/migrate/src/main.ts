import { commonSettings, ConfigError, readConfig } from '@app/runtime/config';
import { z } from 'zod';
import { migrate } from './migrate.ts';

/** `./run migrate`: exit code 0 done or nothing to do, 1 failed, 78 a wrong configuration. */
async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort(new Error(`stopped by ${signal}; nothing is half done`));
    });
  }
  try {
    const { POSTGRES_URL } = readConfig(z.object({ POSTGRES_URL: commonSettings.POSTGRES_URL }), process.env);
    const applied = await migrate(POSTGRES_URL, { signal: stop.signal, log: (line) => console.error(line) });
    for (const name of applied) console.log(`applied ${name}`);
    console.log(applied.length === 0 ? 'up to date' : `${applied.length} applied`);
    return 0;
  } catch (error) {
    console.error(`migrate: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

process.exitCode = await main();
