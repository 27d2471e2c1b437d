import { runTool } from '@app/runtime/run-tool';
import { readArguments, type SoakArguments, usage } from './read-arguments.ts';
import { soak } from './soak.ts';

process.exitCode = await runTool({
  name: 'soak',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: main,
});

async function main(asked: SoakArguments): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second signal: servers and processors end with this process.
      if (stop.signal.aborted) process.exit(130);
      console.log('soak: ending early; the check follows. Send the signal again to exit without it');
      stop.abort();
    });
  }
  console.log(`soak: seed ${asked.seed}, ${asked.ratePerS} entries a second`);
  try {
    const { summary, problems } = await soak({
      ...asked,
      stop: stop.signal,
      print: (line) => console.log(line),
    });
    console.log(summary);
    for (const problem of problems) console.error(`soak: ${problem}`);
    if (problems.length > 0) {
      console.error(
        `soak: the promise was broken; ./run soak --seed ${asked.seed} repeats the load and the faults`,
      );
      return 1;
    }
    console.log(
      'soak: the promise was kept: each record stored once or dead-lettered with its reason, nothing pending',
    );
    return 0;
  } catch (error) {
    console.error(`soak: ${describe(error)}`);
    return 1;
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describe(error.cause)}`;
}
