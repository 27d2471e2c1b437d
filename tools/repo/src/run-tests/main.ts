import { allowedSkips } from './allowed-skips.ts';
import { summariseResults } from './summarise-results.ts';
import { runVitest } from './run-vitest.ts';

const { results, exit } = await runVitest(process.argv.slice(2));
const { failures, summary, isSuccess } = summariseResults(results, exit, allowedSkips);
for (const failure of failures) console.error(failure);
console.log(summary);
process.exitCode = isSuccess ? 0 : 1;
