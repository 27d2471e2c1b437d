import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { readModule } from './read-module.ts';

const gateway = 'services/live-gateway/src';
const allowedFolders = [`${gateway}/server/`, `${gateway}/connection/`];
const library = 'uWebSockets.js';

/**
 * In the gateway only `server/` and `connection/` may use uWebSockets.js, and must not re-export it. Elsewhere its quoted
 * name is refused anywhere: in an import, type, `require` or mock.
 */
export function uWebSocketsOnlyInServerAndConnection(root: string): readonly Problem[] {
  return listSources(root, gateway).flatMap((path): readonly Problem[] => {
    const file = relative(root, path);
    if (allowedFolders.some((folder) => file.startsWith(folder))) {
      return readModule(path).reExported.has(library)
        ? [{ file, message: `re-exports from ${library}; export your own function or type instead` }]
        : [];
    }
    return /['"`]uWebSockets\.js['"`]/.test(readFileSync(path, 'utf8'))
      ? [{ file, message: `uses ${library}; only ${allowedFolders.join(' and ')} may` }]
      : [];
  });
}
