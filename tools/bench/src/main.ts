import { writeFile } from 'node:fs/promises';
import { runTool } from '@app/runtime/run-tool';
import type { Benchmark } from './benchmark.ts';
import { writeBenchmarksPage } from './benchmarks-page.ts';
import { benchCompression } from './compression/bench-compression.ts';
import { benchGateway } from './gateway/bench-gateway.ts';
import { benchInserts } from './inserts/bench-inserts.ts';
import { benchProcessor } from './processor/bench-processor.ts';
import { readArguments, usage } from './read-arguments.ts';
import { benchRules } from './rules/bench-rules.ts';
import { benchTiming } from './timing/bench-timing.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  processor: benchProcessor,
  gateway: benchGateway,
  inserts: benchInserts,
  compression: benchCompression,
  timing: benchTiming,
  rules: benchRules,
};

const quickWarning =
  '--quick: small sizes on cold servers. Only the full run tells whether a goal is reached.';

process.exitCode = await runTool({
  name: 'bench',
  usage: usage(benchmarks),
  read: () => readArguments(process.argv.slice(2), benchmarks),
  run: async ({ benchmark, name, isQuick, jsonFile, writesDocs }) => {
    const outcome = await benchmark.run(isQuick, (line) => process.stderr.write(`${line}\n`));
    process.stdout.write(`${outcome.section}\n`);
    if (isQuick) process.stderr.write(`${quickWarning}\n`);
    if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(outcome.results, null, 2)}\n`);
    if (writesDocs) await writeBenchmarksPage(new URL('../../../docs/', import.meta.url), name, outcome);
    return 0;
  },
});
