import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { readModule } from './read-module.ts';

const gateway = 'services/live-gateway/src';
const rooms = [`${gateway}/server/`, `${gateway}/connection/`];
const library = 'uWebSockets.js';

/**
 * In the gateway only `server/` and `connection/` know uWebSockets.js, and neither hands it on.
 *
 * Outside of them its quoted name is refused wherever it stands: as import, type,
 * `require` or mock. Inside, an export of something imported from it is.
 */
export function socketLibraryStaysInItsRooms(root: string): readonly Problem[] {
  return listSources(root, gateway).flatMap((path): readonly Problem[] => {
    const file = relative(root, path);
    if (rooms.some((room) => file.startsWith(room))) {
      return readModule(path).reExported.has(library)
        ? [{ file, message: `hands on a part of ${library}; export a function or type of your own instead` }]
        : [];
    }
    return /['"`]uWebSockets\.js['"`]/.test(readFileSync(path, 'utf8'))
      ? [{ file, message: `knows ${library}; only ${rooms.join(' and ')} may` }]
      : [];
  });
}
