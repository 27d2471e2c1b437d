import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { runTsc } from './run-tsc.ts';

const source = 'services/processor/src';
// With the slash: Node's types have a file domain.d.ts.
const domain = `${source}/domain/`;

/**
 * In the processor only `main.ts` and `domain/` may load files of `domain/`. The linter refuses direct imports; the
 * compiler's list of loaded files also shows re-exports, types and imports through other files.
 */
export function onlyMainImportsDomain(root: string): readonly Problem[] {
  const folders = readdirSync(join(root, source), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'domain')
    .map(({ name }) => name);
  for (const folder of ['domain', ...folders]) listSources(root, `${source}/${folder}`);
  const project = {
    extends: join(root, 'tsconfig.base.json'),
    include: folders.map((folder) => join(root, source, folder)),
    compilerOptions: { types: [] },
  };
  const { isClean, lines } = runTsc(root, project, ['--listFilesOnly']);
  if (!isClean) throw new Error(`tsc could not list the files that ${source} loads:\n${lines.join('\n')}`);

  return lines
    .filter((line) => line.startsWith(join(root, domain)))
    .map((line) => {
      const file = line.slice(root.length + 1);
      return {
        file,
        message: `loaded outside domain/, directly or through another file: ${importers(root, project, file)}`,
      };
    });
}

function importers(root: string, project: Parameters<typeof runTsc>[1], file: string): string {
  const { lines } = runTsc(root, project, ['--listFilesOnly', '--explainFiles']);
  const start = lines.findIndex((line) => line.endsWith(file));
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => !line.startsWith(' '));
  const reasons = rest.slice(0, end).filter((line) => line.includes(' from file '));
  return reasons.map((line) => line.trim()).join('; ');
}
