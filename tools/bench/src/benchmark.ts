/** One of the benchmarks of `./run bench`; `benchmarks.ts` is the table of them. */
export interface Benchmark {
  /** What it measures, in one line of the help. */
  readonly measures: string;
  /** How long it takes on an idle machine, in full and with `--quick`. */
  readonly takes: string;
  /** Runs it; `say` hears in one line each what is under way. */
  readonly run: (isQuick: boolean, say: (line: string) => void) => Promise<Outcome>;
}

export interface Outcome {
  /** For `--json`: plain data. */
  readonly results: object;
  /** A section of docs/benchmarks.md in Markdown, from its `##` on; without `--docs` it is what is printed. */
  readonly section: string;
  /** The pictures that the section shows, as SVG by their file names in docs/benchmarks/. */
  readonly charts: Readonly<Record<string, string>>;
}
