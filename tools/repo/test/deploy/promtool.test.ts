import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ruleFiles } from '../../src/deploy/read-rules.ts';
import { repositoryPath } from '../../src/deploy/repository.ts';
import { findProgram } from './support/find-program.ts';

const promtool = findProgram('promtool');
const folder = repositoryPath('deploy/prometheus');

async function run(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(promtool ?? '', args, { cwd: folder });
  return stdout;
}

describe.skipIf(promtool === undefined)('promtool', () => {
  test('accepts every rule', async () => {
    const files = globSync('*.rules.yml', { cwd: folder });
    expect(files.map((file) => `deploy/prometheus/${file}`).toSorted()).toEqual(ruleFiles.toSorted());
    expect(await run('check', 'rules', '--lint=all', '--lint-fatal', ...files)).toMatch(
      /SUCCESS: \d+ rules/u,
    );
  });

  test('accepts the configuration of Prometheus', async () => {
    expect(await run('check', 'config', 'prometheus.yml')).toContain('SUCCESS');
  });

  test.for(globSync('tests/*.test.yml', { cwd: folder }))('runs %s', async (file) => {
    expect(await run('test', 'rules', file)).toContain('SUCCESS');
  });
});
