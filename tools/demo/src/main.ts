import { messageOf } from '@app/runtime/message-of';
import { runTool } from '@app/runtime/run-tool';
import { runDemo } from './demo.ts';
import { readArguments, usage, type DemoArguments } from './read-arguments.ts';

process.exitCode = await runTool({
  name: 'demo',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: main,
});

async function main(args: DemoArguments): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second signal exits at once. Servers and services started here end with this process; on a given Redis or
      // Postgres the demo's stream and database remain.
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  try {
    const { results, summary, problems } = await runDemo(args, process.stdout, stop.signal);
    for (const problem of problems) console.error(`demo: ${problem}`);
    console.log(['', ...results, summary].join('\n'));
    if (problems.length > 0) return 1;
    // A demo without a duration is stopped this way.
    return stop.signal.aborted && args.durationMs !== undefined ? 130 : 0;
  } catch (error) {
    if (stop.signal.aborted && error instanceof Error && error.name === 'AbortError') return 130;
    console.error(`demo: ${messageOf(error)}`);
    return 1;
  }
}
