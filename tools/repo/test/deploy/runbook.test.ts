import { globSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readRepositoryFile, repositoryPath } from '../../src/deploy/repository.ts';

const pages = ['*.md', 'docs/*.md', 'deploy/*/*.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: repositoryPath('.') }),
);
const runbook = readRepositoryFile('docs/operations.md');
const files = listFiles('{.ci,.github,deploy,migrations,packages,services,testing,tools}/**/*.*');
const code = sources(
  '{packages,services}/*/{src,test}/**/*.ts',
  '{testing,tools}/*/src/**/*.ts',
  'services/*/Dockerfile',
  'deploy/**/*.{sh,yaml,yml}',
);
/** Settings of Directus and Node, and codes of Node's TLS errors. */
const foreignNames = new Set([
  'CERT_HAS_EXPIRED',
  'CORS_ENABLED',
  'CORS_ORIGIN',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HTTPS_PROXY',
  'IP_TRUST_PROXY',
  'NO_PROXY',
  'RATE_LIMITER_ENABLED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'SESSION_COOKIE_DOMAIN',
  'SESSION_COOKIE_SECURE',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function listFiles(pattern: string): readonly string[] {
  return globSync(pattern, { cwd: repositoryPath('.'), exclude: ['**/node_modules/**'] });
}

function sources(...patterns: readonly string[]): string {
  return patterns.flatMap(listFiles).map(readRepositoryFile).join('\n');
}

function isInCode(name: string): boolean {
  return foreignNames.has(name) || new RegExp(`\\b${name}\\b`, 'u').test(code);
}

/** What a page quotes in backticks, without its code blocks. */
function quotedIn(page: string, pattern: RegExp): readonly string[] {
  const text = readRepositoryFile(page).replaceAll(/^```[\s\S]*?^```/gmu, '');
  return [...text.matchAll(pattern)].map(([, quoted = '']) => quoted);
}

describe('the documentation quotes', () => {
  test.for(pages)('only existing ./run commands: %s', (page) => {
    const table = /^commands='\n([\s\S]*?)'$/mu.exec(readRepositoryFile('run'))?.[1] ?? '';
    const commands = new Set([...table.split('\n').map((line) => line.split(/\s/u)[0]), 'help']);
    const quoted = [...readRepositoryFile(page).matchAll(/\.\/run ([a-z-]+)/gu)].map(([, name]) => name);
    expect(quoted.filter((name) => !commands.has(name))).toEqual([]);
  });

  test.for(pages)('only existing settings and metrics: %s', (page) => {
    const names = quotedIn(page, /`((?:[A-Z][A-Z\d]*_)+[A-Z\d]+|(?:processor|live)_[a-z_]+)(?:=[^`]*)?`/gu);
    expect(names.filter((name) => !isInCode(name))).toEqual([]);
  });

  test.for(pages)('only existing files: %s', (page) => {
    const paths = quotedIn(page, /`([\w@./-]+\/[\w.-]+\.(?:json|sh|sql|ts|yaml|yml))`/gu);
    expect(paths.filter((path) => !files.some((file) => `/${file}`.endsWith(`/${path}`)))).toEqual([]);
  });

  test('every dependency with its reason', () => {
    const page = readRepositoryFile('docs/dependencies.md');
    const [, catalog = ''] =
      /^catalog:\n((?: {2}.*\n)+)/mu.exec(readRepositoryFile('pnpm-workspace.yaml')) ?? [];
    const names = [...catalog.matchAll(/^ {2}'?([^':]+)'?:/gmu)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(0);
    const isNamed = (name: string): boolean =>
      [name, name.replace(/\/.*/u, '/*'), name.replace(/.*\//u, ', ')].some((form) => page.includes(form));
    expect(names.filter((name) => !name.startsWith('@types/') && !isNamed(name))).toEqual([]);
  });

  test('only log messages of the services', () => {
    const lines = [...runbook.matchAll(/log line `([^`"]+)`/gu)].map(([, line = '']) => line);
    expect(lines.length).toBeGreaterThan(0);
    const services = sources('services/*/src/**/*.ts');
    expect(lines.filter((line) => !services.includes(line))).toEqual([]);
  });

  test('only existing dashboard panels', () => {
    const panels = [...runbook.matchAll(/(?<!\*)\*([^*\n]+)\*(?!\*)/gu)].map(([, title = '']) => title);
    expect(panels.length).toBeGreaterThan(0);
    const dashboards = sources('deploy/grafana/*.json');
    expect(panels.filter((title) => !dashboards.includes(`"title": "${title}"`))).toEqual([]);
  });
});
