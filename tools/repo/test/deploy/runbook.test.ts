import { globSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readRepositoryFile, repositoryPath } from '../../src/deploy/repository.ts';

const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: repositoryPath('.') })];
const runbook = readRepositoryFile('docs/operations.md');

function sources(pattern: string): string {
  return globSync(pattern, { cwd: repositoryPath('.') })
    .map(readRepositoryFile)
    .join('\n');
}

describe('the documentation quotes', () => {
  test.for(pages)('only existing ./run commands: %s', (page) => {
    const table = /^commands='\n([\s\S]*?)'$/mu.exec(readRepositoryFile('run'))?.[1] ?? '';
    const commands = new Set([...table.split('\n').map((line) => line.split(/\s/u)[0]), 'help']);
    const quoted = [...readRepositoryFile(page).matchAll(/\.\/run ([a-z-]+)/gu)].map(([, name]) => name);
    expect(quoted.filter((name) => !commands.has(name))).toEqual([]);
  });

  test('only log messages of the services', () => {
    const lines = [...runbook.matchAll(/log line `([^`"]+)`/gu)].map(([, line = '']) => line);
    expect(lines.length).toBeGreaterThan(0);
    const code = sources('services/*/src/**/*.ts');
    expect(lines.filter((line) => !code.includes(line))).toEqual([]);
  });

  test('only existing dashboard panels', () => {
    const panels = [...runbook.matchAll(/(?<!\*)\*([^*\n]+)\*(?!\*)/gu)].map(([, title = '']) => title);
    expect(panels.length).toBeGreaterThan(0);
    const dashboards = sources('deploy/grafana/*.json');
    expect(panels.filter((title) => !dashboards.includes(`"title": "${title}"`))).toEqual([]);
  });
});
