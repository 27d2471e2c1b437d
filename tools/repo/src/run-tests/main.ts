import { allowedSkips } from './allowed-skips.ts';
import { judgeResults } from './judge-results.ts';
import { runVitest } from './run-vitest.ts';

const { results, ending } = await runVitest(process.argv.slice(2));
const { remarks, summary, isGood } = judgeResults(results, ending, allowedSkips);
for (const remark of remarks) console.error(remark);
console.log(summary);
process.exitCode = isGood ? 0 : 1;
