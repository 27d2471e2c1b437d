import { writeFile } from 'node:fs/promises';
import { benchmarks } from './benchmarks.ts';
import { writeBenchmarksPage } from './benchmarks-page.ts';
import { readArguments, usage } from './read-arguments.ts';

const quickWarning =
  '--quick: servers are still cold and the sizes small. Whether a goal is reached only the whole run says.';

const asked = readArguments(process.argv.slice(2), benchmarks);
if ('problem' in asked) {
  process.stderr.write(`${asked.problem}\n${usage(benchmarks)}\n`);
  process.exitCode = 2;
} else if ('isHelp' in asked) {
  process.stdout.write(`${usage(benchmarks)}\n`);
} else {
  const { benchmark, name, isQuick, jsonFile, writesDocs } = asked;
  const outcome = await benchmark.run(isQuick, (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${outcome.section}\n`);
  if (isQuick) process.stderr.write(`${quickWarning}\n`);
  if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(outcome.results, null, 2)}\n`);
  if (writesDocs) await writeBenchmarksPage(new URL('../../../docs/', import.meta.url), name, outcome);
}
