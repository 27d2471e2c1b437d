import { UsageError } from './read-arguments.ts';

const wrongUsage = 2;

/** Runs a command-line tool and returns its exit code: 2 for a wrong command line. Prints the usage for that and for `--help`. */
export async function runTool<Arguments>(tool: {
  /** Precedes each error message. */
  readonly name: string;
  readonly usage: string;
  /** Undefined if help was asked for. */
  readonly read: () => Arguments | undefined;
  readonly run: (args: Arguments) => Promise<number>;
}): Promise<number> {
  try {
    const args = tool.read();
    if (args !== undefined) return await tool.run(args);
    process.stdout.write(`${tool.usage}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${tool.name}: ${problem}\n`);
    process.stderr.write(`\n${tool.usage}\n`);
    return wrongUsage;
  }
}
