import type { Pace, Sentence } from './sentence.ts';
import type { Target } from './target.ts';

export type Verdict =
  | { readonly sentence: Sentence; readonly result: 'passed' }
  | { readonly sentence: Sentence; readonly result: 'failed'; readonly error: unknown }
  | { readonly sentence: Sentence; readonly result: 'not tested'; readonly missing: readonly string[] };

/** So many at once: each starts a server, and a machine has few processors. */
const lanes = 3;

/** Checks the sentences, each at its pace, and tells each verdict as it falls. */
export async function runSentences(
  sentences: readonly Sentence[],
  target: Target,
  tell: (verdict: Verdict) => void,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  const judgeAndTell = async (sentence: Sentence): Promise<void> => {
    const verdict = await judge(sentence, target);
    verdicts.push(verdict);
    tell(verdict);
  };
  const paced = (pace: Pace): readonly Sentence[] => sentences.filter((sentence) => sentence.pace === pace);
  const meanwhile = paced('meanwhile').map(judgeAndTell);
  for (const sentence of paced('alone')) await judgeAndTell(sentence);
  const together = paced('together').values();
  const work = async (): Promise<void> => {
    for (const sentence of together) await judgeAndTell(sentence);
  };
  await Promise.all([...Array.from({ length: lanes }, work), ...meanwhile]);
  return verdicts;
}

async function judge(sentence: Sentence, target: Target): Promise<Verdict> {
  const missing = sentence.missing(target);
  if (missing.length > 0) return { sentence, result: 'not tested', missing };
  try {
    await sentence.check(target);
    return { sentence, result: 'passed' };
  } catch (error) {
    return { sentence, result: 'failed', error };
  }
}

/** The line of a verdict. What a server said may stand in it, so it is kept short. */
export function describeVerdict(verdict: Verdict): string {
  const { says } = verdict.sentence;
  if (verdict.result === 'passed') return `passed      ${says}`;
  if (verdict.result === 'not tested') return `not tested  ${says}: needs ${verdict.missing.join(' and ')}`;
  const why = verdict.error instanceof Error ? verdict.error.message : String(verdict.error);
  return `FAILED      ${says}\n            ${why.replaceAll('\n', '\n            ').slice(0, 1_000)}`;
}

export function summarise(verdicts: readonly Verdict[]): string {
  const count = (result: Verdict['result']): number =>
    verdicts.filter((verdict) => verdict.result === result).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('not tested')} not tested`;
}
