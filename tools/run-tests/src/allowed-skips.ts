export interface AllowedSkip {
  /** From the repository's top. */
  readonly file: string;
  /** Suites and test, joined by ` > `. */
  readonly name: string;
  /** What is missing where it is skipped. */
  readonly reason: string;
}

const needPromtool = [
  'finds every rule well made',
  'takes the configuration of Prometheus',
  'runs tests/live-gateway.test.yml',
  'runs tests/processor.test.yml',
].map((name) => ({
  file: 'tools/deploy/src/promtool.test.ts',
  name: `promtool > ${name}`,
  reason: 'promtool comes from the package prometheus of Debian or Ubuntu; elsewhere there may be none',
}));

/** Every test that may be skipped somewhere. A skip that is not here is a failure. */
export const allowedSkips: readonly AllowedSkip[] = needPromtool;
