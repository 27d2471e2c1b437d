import { parseArgs } from 'node:util';
import type { Benchmark } from './benchmark.ts';

type Benchmarks = Readonly<Record<string, Benchmark>>;

export function usage(benchmarks: Benchmarks): string {
  const lines = Object.entries(benchmarks).flatMap(([name, { measures, takes }]) => [
    `  ${name.padEnd(12)} ${measures}`,
    `  ${''.padEnd(12)} ${takes}`,
  ]);
  return `usage: ./run bench <benchmark> [options]
${lines.join('\n')}
options
  --json FILE  write the results
  --quick      smaller and shorter: within a minute
  --docs       write the results into docs/benchmarks.md, with their charts`;
}

export interface BenchArguments {
  readonly name: string;
  readonly benchmark: Benchmark;
  readonly isQuick: boolean;
  readonly jsonFile: string | undefined;
  readonly writesDocs: boolean;
}

/** What was asked for, or why it cannot be done. */
export function readArguments(
  args: readonly string[],
  benchmarks: Benchmarks,
): BenchArguments | { readonly isHelp: true } | { readonly problem: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        quick: { type: 'boolean', default: false },
        docs: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return { isHelp: true };
    const [name, ...more] = positionals;
    if (name === undefined) return { problem: 'which benchmark?' };
    if (more.length > 0) return { problem: `one benchmark at a time, not also ${more.join(' ')}` };
    const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
    if (benchmark === undefined) return { problem: `there is no benchmark ${name}` };
    if (values.quick && values.docs) return { problem: '--docs wants the whole run: leave --quick out' };
    return { name, benchmark, isQuick: values.quick, jsonFile: values.json, writesDocs: values.docs };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
