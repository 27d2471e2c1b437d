import { UsageError } from './read-arguments.ts';

/** Runs a command-line tool and returns its exit code. Prints the usage for `--help` and for a wrong command line. */
export async function runTool<Arguments>(tool: {
  /** Precedes each error message. */
  readonly name: string;
  readonly usage: string;
  /** For a wrong command line. Default: 2. */
  readonly usageExitCode?: number;
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
    return tool.usageExitCode ?? 2;
  }
}
