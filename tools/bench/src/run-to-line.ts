import { Program, type OutputLine, type ProgramOptions } from '@app/test-kit/program';

/** Runs a program that prints one result line; returns what `pick` finds in it. */
export async function runToLine<T>(
  options: ProgramOptions,
  pick: (line: OutputLine) => T | undefined,
): Promise<T> {
  await using program = new Program(options);
  return await program.line(pick);
}
