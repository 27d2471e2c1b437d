import { flag, readArguments as read, string } from '@app/runtime/read-arguments';
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
  --quick      small sizes, at most a minute
  --docs       write section and charts into docs/benchmarks.md`;
}

export interface BenchArguments {
  readonly name: string;
  readonly benchmark: Benchmark;
  readonly isQuick: boolean;
  readonly jsonFile: string | undefined;
  readonly writesDocs: boolean;
}

const options = { json: string(), quick: flag(), docs: flag() };

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(args: readonly string[], benchmarks: Benchmarks): BenchArguments | undefined {
  const find = (name = ''): Benchmark | undefined =>
    Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  const asked = read(args, options, ({ quick, docs }, [name, ...more]) => {
    const problems: string[] = [];
    if (name === undefined) problems.push('which benchmark?');
    else if (find(name) === undefined) problems.push(`there is no benchmark ${name}`);
    if (more.length > 0) problems.push(`one benchmark at a time, not also ${more.join(' ')}`);
    if (quick && docs) problems.push('--docs needs the full run: leave out --quick');
    return problems;
  });
  const [name = ''] = asked?.positionals ?? [];
  const benchmark = find(name);
  if (asked === undefined || benchmark === undefined) return undefined;
  const { quick, json, docs } = asked.values;
  return { name, benchmark, isQuick: quick, jsonFile: json, writesDocs: docs };
}
