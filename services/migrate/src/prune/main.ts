import { ConfigError, readConfig } from '@app/runtime/config';
import { connectWhenReady } from '../connect-when-ready.ts';
import { prune } from './prune.ts';
import { pruneSettings } from './settings.ts';

const connectWaitMs = 60_000;

/** Exit codes: 0 done or out of time, 1 failed, 78 invalid configuration. */
async function main(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort(new Error(`stopped by ${signal}; the next run continues`));
    });
  }
  try {
    const { POSTGRES_URL, PRUNE_KEEP_DAYS, PRUNE_MAX_MINUTES } = readConfig(pruneSettings, process.env);
    await using connection = await connectWhenReady(POSTGRES_URL, {
      signal: stop.signal,
      log: printToStderr,
      waitMs: connectWaitMs,
    });
    const { what, count, pastLimitRows, isDone } = await prune(connection.client, {
      keepDays: PRUNE_KEEP_DAYS,
      maxMs: PRUNE_MAX_MINUTES * 60_000,
      signal: stop.signal,
      log: printToStderr,
    });
    console.log(
      `${count} ${what} of positions and ${pastLimitRows} rows of positions_past_limit deleted${isDone ? '' : `; ended after ${PRUNE_MAX_MINUTES} minutes, the next run continues`}`,
    );
    return 0;
  } catch (error) {
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    console.error(`prune: ${reason instanceof Error ? reason.message : String(reason)}`);
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

function printToStderr(line: string): void {
  console.error(line);
}

process.exitCode = await main();
