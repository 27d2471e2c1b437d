import { parseArgs } from 'node:util';

export const usage = `usage: ./run bench <suite> [options]
  processor          drain, latency and cost of the processor
options
  --json FILE        write the results
  --quick            smaller and shorter: within a minute
  --docs             write the results into docs/benchmarks.md`;

export interface BenchArguments {
  readonly suite: 'processor';
  readonly isQuick: boolean;
  readonly jsonFile: string | undefined;
  readonly writesDocs: boolean;
}

/** What was asked for, or why it cannot be done. */
export function readArguments(args: readonly string[]): BenchArguments | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        quick: { type: 'boolean', default: false },
        docs: { type: 'boolean', default: false },
      },
    });
    const [suite, ...more] = positionals;
    if (suite !== 'processor') return { problem: `there is no suite ${suite ?? 'given'}` };
    if (more.length > 0) return { problem: `one suite at a time, not also ${more.join(' ')}` };
    return { suite, isQuick: values.quick, jsonFile: values.json, writesDocs: values.docs };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
