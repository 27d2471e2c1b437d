import { readFile, writeFile } from 'node:fs/promises';
import type { Outcome } from './benchmark.ts';

/** Writes one benchmark's section into docs/benchmarks.md, and its charts; other sections stay. */
export async function writeBenchmarksPage(docs: URL, name: string, outcome: Outcome): Promise<void> {
  const page = new URL('benchmarks.md', docs);
  const folder = new URL('benchmarks/', docs);
  for (const [fileName, svg] of Object.entries(outcome.charts))
    await writeFile(new URL(fileName, folder), svg);
  await writeFile(page, withSection(await readFile(page, 'utf8'), name, outcome.section));
}

/** Replaces the benchmark's section, or appends it. */
export function withSection(page: string, name: string, section: string): string {
  const begin = `<!-- ${name}: written by ./run bench ${name} --docs -->`;
  const end = `<!-- end of ${name} -->`;
  const written = `${begin}\n\n${section.trim()}\n\n${end}\n`;
  const beginAt = page.indexOf(begin);
  const endAt = page.indexOf(end, beginAt);
  if (beginAt === -1 || endAt === -1) return `${page.trimEnd()}\n\n${written}`;
  return page.slice(0, beginAt) + written + page.slice(endAt + end.length).replace(/^\n/u, '');
}
