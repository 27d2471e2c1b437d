import { allSentences } from './all-sentences.ts';
import { equipTarget } from './equip-target.ts';
import { readArguments, usage } from './read-arguments.ts';
import { describeVerdict, runSentences, summarise } from './run-sentences.ts';

const asked = readArguments(process.argv.slice(2), process.env);
if ('problem' in asked) {
  console.error(`${asked.problem}\n${usage}`);
  process.exitCode = 2;
} else {
  await using target = await equipTarget(asked);
  const sentences = allSentences.filter(({ says }) => says.includes(asked.only));
  const verdicts = await runSentences(sentences, target, (verdict) => console.log(describeVerdict(verdict)));
  console.log(summarise(verdicts));
  // Nothing tested is no success either.
  const isGood =
    verdicts.some(({ result }) => result === 'passed') && verdicts.every(({ result }) => result !== 'failed');
  process.exitCode = isGood ? 0 : 1;
}
