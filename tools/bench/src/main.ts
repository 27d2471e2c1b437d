import { writeFile } from 'node:fs/promises';
import { benchProcessor } from './processor/bench-processor.ts';
import { processorReport } from './processor/report.ts';
import { readArguments, usage } from './read-arguments.ts';

const asked = readArguments(process.argv.slice(2));
if ('problem' in asked) {
  process.stderr.write(`${asked.problem}\n${usage}\n`);
  process.exitCode = 2;
} else {
  const results = await benchProcessor(asked.isQuick, (line) => process.stderr.write(`${line}\n`));
  const report = processorReport(results);
  process.stdout.write(`${report}\n`);
  if (asked.jsonFile !== undefined) await writeFile(asked.jsonFile, `${JSON.stringify(results, null, 2)}\n`);
  if (asked.writesDocs) await writeFile(new URL('../../../docs/benchmarks.md', import.meta.url), report);
}
