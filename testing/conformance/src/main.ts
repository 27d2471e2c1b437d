import { runTool } from '@app/runtime/run-tool';
import { allSentences } from './all-sentences.ts';
import { equipTarget } from './equip-target.ts';
import { readArguments, usage } from './read-arguments.ts';
import { describeVerdict, runSentences, summarise } from './run-sentences.ts';

process.exitCode = await runTool({
  name: 'conformance',
  usage,
  read: () => readArguments(process.argv.slice(2), process.env),
  run: async (asked) => {
    await using target = await equipTarget(asked);
    const sentences = allSentences.filter(({ says }) => says.includes(asked.only));
    const verdicts = await runSentences(sentences, target, (verdict) =>
      console.log(describeVerdict(verdict)),
    );
    console.log(summarise(verdicts));
    // Nothing tested is no success either.
    const isGood =
      verdicts.some(({ result }) => result === 'passed') &&
      verdicts.every(({ result }) => result !== 'failed');
    return isGood ? 0 : 1;
  },
});
