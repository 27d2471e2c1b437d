/** One of the benchmarks of `./run bench`; `benchmarks.ts` is the table of them. */
export interface Benchmark {
  /** One line of the help. */
  readonly measures: string;
  /** On an idle machine, in full and with `--quick`. */
  readonly takes: string;
  /** `print` reports progress, one line at a time. */
  readonly run: (isQuick: boolean, print: (line: string) => void) => Promise<Outcome>;
}

export interface Outcome {
  /** For `--json`. */
  readonly results: object;
  /** A section of docs/benchmarks.md in Markdown, which is also printed. */
  readonly section: string;
  /** SVG by file name in docs/benchmarks/. */
  readonly charts: Readonly<Record<string, string>>;
}
