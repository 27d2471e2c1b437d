import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { readModule } from './read-module.ts';

const folders = ['packages', 'services', 'testing', 'tools'];
const manifest = z.object({ name: z.string(), exports: z.record(z.string(), z.string()).default({}) });

/** No file imports itself through others, by a value or by a type. */
export function noImportCircles(root: string): readonly Problem[] {
  const files = folders.flatMap((folder) => listSources(root, folder));
  const exported = readExports(root);
  const imports = new Map<string, readonly string[]>();
  for (const file of files) {
    const targets = readModule(file).specifiers.map(
      (specifier) => exported.get(specifier) ?? resolve(dirname(file), specifier),
    );
    imports.set(
      file,
      targets.filter((target) => existsSync(target)),
    );
  }
  return findCircles(imports).map((circle) => {
    const [first = '', ...others] = circle.map((file) => relative(root, file));
    return { file: first, message: `imports itself: ${[...others, first].join(' > ')}` };
  });
}

/** Absolute path by specifier, for the exports of every package of the workspace. */
function readExports(root: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const file of globSync(
    folders.map((folder) => `${folder}/*/package.json`),
    { cwd: root },
  )) {
    const { name, exports } = manifest.parse(JSON.parse(readFileSync(join(root, file), 'utf8')));
    for (const [path, target] of Object.entries(exports))
      paths.set(join(name, path), join(root, dirname(file), target));
  }
  return paths;
}

/** One circle for each file at which a depth-first search meets a file of its own path again. */
function findCircles(imports: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const circles: (readonly string[])[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    const start = path.indexOf(file);
    if (start !== -1) {
      circles.push(path.slice(start));
      return;
    }
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return circles;
}
