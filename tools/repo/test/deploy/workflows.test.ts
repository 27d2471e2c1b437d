import { globSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readRepositoryFile, repositoryPath } from '../../src/deploy/repository.ts';

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'timeout-minutes'?: number;
  readonly steps: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> }[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Permissions of jobs beyond reading the code. */
const extraPermissions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'codeql.yml analyse': { 'security-events': 'write' },
  'release.yml images': { packages: 'write', 'id-token': 'write', attestations: 'write' },
  'release.yml publish': { contents: 'write', packages: 'read' },
};

const files = globSync('*.yml', { cwd: repositoryPath('.github/workflows') });

test('the workflows are ci, codeql and release', () => {
  expect(files.toSorted()).toEqual(['ci.yml', 'codeql.yml', 'release.yml']);
});

describe.for(files)('%s', (file) => {
  const text = readRepositoryFile(`.github/workflows/${file}`);
  const workflow: Workflow = parse(text);
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => job.steps);

  test('pins every action to the commit of its version', () => {
    const uses = text.match(/(?<=uses: ).*/gu) ?? [];
    expect(uses).toHaveLength(steps.filter((step) => step.uses !== undefined).length);
    const unpinned = uses.filter((use) => !/^[\w./-]+@[\da-f]{40} # v\d+\.\d+\.\d+$/u.test(use));
    expect(unpinned).toEqual([]);
  });

  test('keeps no token in the checkout', () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    const kept = checkouts.filter((step) => step.with?.['persist-credentials'] !== false);
    expect(checkouts.length).toBeGreaterThan(0);
    expect(kept).toEqual([]);
  });

  test('limits the permissions and the duration of each job', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    for (const [name, job] of jobs) {
      expect({ contents: 'read', ...job.permissions }).toEqual({
        contents: 'read',
        ...extraPermissions[`${file} ${name}`],
      });
      expect(job['timeout-minutes']).toBeLessThanOrEqual(40);
    }
  });
});
