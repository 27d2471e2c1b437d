export interface AllowedSkip {
  /** Relative to the repository root. */
  readonly file: string;
  /** Suites and test joined by ` > `; the name of a suite covers all its tests. */
  readonly name: string;
  /** Why it may be skipped. */
  readonly reason: string;
}

/** All tests that may be skipped. Any other skip is a failure. */
export const allowedSkips: readonly AllowedSkip[] = [
  {
    file: 'tools/repo/test/deploy/promtool.test.ts',
    name: 'promtool',
    reason: './run installs promtool on Debian and Ubuntu only',
  },
  {
    file: 'tools/repo/test/deploy/prometheus.e2e.test.ts',
    name: 'a real Prometheus',
    reason: './run installs Prometheus on Debian and Ubuntu only',
  },
  {
    file: 'tools/repo/test/deploy/kubernetes.test.ts',
    name: 'the manifests',
    reason: './run installs kubectl on Debian only',
  },
  {
    file: 'tools/repo/test/deploy/prune-component.test.ts',
    name: 'the component prune',
    reason: './run installs kubectl on Debian only',
  },
  ...['11.17.4', '12.4.0'].map((version) => ({
    file: 'testing/directus/test/real-directus.e2e.test.ts',
    name: `Directus ${version} > that is installed`,
    reason: './run directus-test installs Directus, which takes minutes and 800 MB',
  })),
];
