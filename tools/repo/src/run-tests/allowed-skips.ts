export interface AllowedSkip {
  /** From the repository's top. */
  readonly file: string;
  /** Suites and test, joined by ` > `; the name of a suite stands for all that is in it. */
  readonly name: string;
  /** What is missing where it is skipped. */
  readonly reason: string;
}

/** Every test that may be skipped somewhere. A skip that is not here is a failure. */
export const allowedSkips: readonly AllowedSkip[] = [
  {
    file: 'tools/repo/test/deploy/promtool.test.ts',
    name: 'promtool',
    reason: './run takes promtool from the packages of Debian and Ubuntu; elsewhere there may be none',
  },
  {
    file: 'tools/repo/test/deploy/prometheus.e2e.test.ts',
    name: 'a real Prometheus',
    reason: './run takes Prometheus from the packages of Debian and Ubuntu; elsewhere there may be none',
  },
  {
    file: 'tools/repo/test/deploy/kubernetes.test.ts',
    name: 'the manifests',
    reason: './run takes kubectl from the packages of Debian; elsewhere there may be none',
  },
];
