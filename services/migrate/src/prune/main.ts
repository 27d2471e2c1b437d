import { ConfigError, readConfig } from '@app/runtime/config';
import { messageOf } from '@app/runtime/message-of';
import { readArguments } from '@app/runtime/read-arguments';
import { runTool } from '@app/runtime/run-tool';
import { connectWhenReady } from '../connect-when-ready.ts';
import { prune } from './prune.ts';
import { pruneSettings } from './settings.ts';

const connectWaitMs = 60_000;

const usage = `usage: PRUNE_KEEP_DAYS=<days> ./run prune

Deletes the positions that are older than PRUNE_KEEP_DAYS from the database at POSTGRES_URL, in short transactions, for
at most PRUNE_MAX_MINUTES (30). The next run continues. It cannot be undone.

Exit codes: 0 done or out of time, 1 failed, 2 wrong usage, 78 missing or invalid setting.`;

process.exitCode = await runTool({
  name: 'prune',
  usage,
  read: () => readArguments(process.argv.slice(2), {}),
  run: main,
});

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
    console.error(
      `prune: ${isUndefinedFunction(reason) ? 'the database is not migrated; run ./run migrate first' : messageOf(reason)}`,
    );
    return error instanceof ConfigError ? error.exitCode : 1;
  }
}

function printToStderr(line: string): void {
  console.error(line);
}

/** The job calls functions of the migrations only. */
function isUndefinedFunction(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '42883';
}
