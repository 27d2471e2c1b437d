import { join } from 'node:path';
import { listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { runTsc } from './run-tsc.ts';

const core = 'services/processor/src/core';
// With both slashes: Node's own types have a file named domain.d.ts.
const domain = 'services/processor/src/domain/';

/**
 * In the processor, nothing that `core/` loads may lead into `domain/`.
 *
 * The linter refuses the direct import while one types it. The compiler's list of
 * the files that `core/` pulls in shows the rest: a re-export, a type, a third file.
 */
export function coreReachesNoDomain(root: string): readonly Problem[] {
  listSources(root, core);
  const project = {
    extends: join(root, 'tsconfig.base.json'),
    include: [join(root, core)],
    compilerOptions: { types: [] },
  };
  const { isClean, lines } = runTsc(root, project, ['--listFilesOnly']);
  if (!isClean) throw new Error(`tsc could not list what ${core} loads:\n${lines.join('\n')}`);

  return lines
    .filter((line) => line.startsWith(join(root, domain)))
    .map((line) => {
      const file = line.slice(root.length + 1);
      return {
        file,
        message: `reached from ${core}, perhaps through another file: ${importers(root, project, file)}`,
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
