import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Problem } from './problem.ts';

const dependencies = z.record(z.string(), z.string()).default({});
const manifest = z.object({
  dependencies,
  devDependencies: dependencies,
  optionalDependencies: dependencies,
  peerDependencies: dependencies,
});

/**
 * Every dependency is `catalog:`, or `workspace:*` for packages of this repository, and versions in the catalog are exact.
 * pnpm accepts literal versions even with `catalogMode: strict`.
 */
export function versionsComeFromTheCatalog(root: string): readonly Problem[] {
  const manifests = [
    'package.json',
    ...globSync('{packages,services,tools,apps}/*/package.json', { cwd: root }),
  ];
  return [...manifests.flatMap((file) => checkManifest(root, file)), ...checkCatalog(root)];
}

function checkManifest(root: string, file: string): readonly Problem[] {
  const groups = Object.values(manifest.parse(JSON.parse(readFileSync(join(root, file), 'utf8'))));
  return groups.flatMap((group) =>
    Object.entries(group).flatMap(([name, version]) => {
      const expected = name.startsWith('@app/') ? 'workspace:*' : 'catalog:';
      return version === expected ? [] : [{ file, message: `${name} is ${version}; write ${expected}` }];
    }),
  );
}

function checkCatalog(root: string): readonly Problem[] {
  const file = 'pnpm-workspace.yaml';
  const text = readFileSync(join(root, file), 'utf8');
  const entries = /^catalog:\n((?: .*\n|#.*\n|\n)*)/m
    .exec(text)?.[1]
    ?.matchAll(/^ +'?([^\s'#]+?)'?: +'?([^\s'#]+)/gm);
  const versions = [...(entries ?? [])];
  if (versions.length === 0) throw new Error(`${file}: no catalog found, so versions were not checked`);
  return versions.flatMap(([, name, version = '']) =>
    /^(npm:@?[^@]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)
      ? []
      : [{ file, message: `${name} is ${version}; use an exact version` }],
  );
}
