import { runDemo } from './demo.ts';
import { readArguments, usage, UsageError, type DemoArguments } from './read-arguments.ts';

process.exitCode = await main();

async function main(): Promise<number> {
  let wanted: DemoArguments | undefined;
  try {
    wanted = readArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.problems.map((problem) => `demo: ${problem}`).join('\n')}\n\n${usage}`);
    return 78;
  }
  if (wanted === undefined) {
    console.log(usage);
    return 0;
  }

  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A second one does not wait. The servers and services started here end with this process in any
      // case; on a Postgres or Redis that was given, the demo's database and stream are left.
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  try {
    const { summary, problems } = await runDemo(wanted, process.stdout, stop.signal);
    for (const problem of problems) console.error(`demo: ${problem}`);
    console.log(summary);
    if (problems.length > 0) return 1;
    // Without an end of its own the demo is meant to be ended so.
    return stop.signal.aborted && wanted.durationMs !== undefined ? 130 : 0;
  } catch (error) {
    if (stop.signal.aborted && error instanceof Error && error.name === 'AbortError') return 130;
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}
