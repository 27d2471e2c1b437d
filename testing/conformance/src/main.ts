import { runTool } from '@app/runtime/run-tool';
import { allCases } from './all-cases.ts';
import { openTarget } from './open-target.ts';
import { readArguments, usage } from './read-arguments.ts';
import { describeResult, runCases, summarise } from './run-cases.ts';

process.exitCode = await runTool({
  name: 'conformance',
  usage,
  read: () => readArguments(process.argv.slice(2), process.env),
  run: async (args) => {
    await using target = await openTarget(args);
    const cases = allCases.filter(({ title }) => title.includes(args.only));
    const results = await runCases(cases, target, (result) => console.log(describeResult(result)));
    console.log(summarise(results));
    // A run in which no case could be tested is a failure too.
    const isSuccess =
      results.some(({ status }) => status === 'passed') && results.every(({ status }) => status !== 'failed');
    return isSuccess ? 0 : 1;
  },
});
