import { Program } from '@app/test-kit/program';
import type { z } from 'zod';
import { evaluated, type EvaluateOptions } from './evaluate-fixes.ts';

export type Evaluation = EvaluateOptions & z.output<typeof evaluated>;

/** Runs the rules in a process of their own. */
export async function benchEvaluation(
  options: EvaluateOptions,
  print: (line: string) => void,
): Promise<Evaluation> {
  print(`evaluating ${options.entries} entries over ${options.hours} h, twice`);
  await using program = new Program({
    main: new URL('evaluate-fixes.ts', import.meta.url),
    env: { EVALUATE: JSON.stringify(options) },
    nodeOptions: ['--expose-gc'],
  });
  const measured = await program.line((line) => evaluated.safeParse(line['evaluated']).data);
  return { ...options, ...measured };
}
