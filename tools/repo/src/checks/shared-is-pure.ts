import { dirname, join, relative, resolve } from 'node:path';
import { isTest, listSources } from './list-sources.ts';
import type { Problem } from './problem.ts';
import { readModule } from './read-module.ts';
import { runTsc } from './run-tsc.ts';

const shared = 'packages/shared';

/** `@app/shared` imports only zod and its own files and uses nothing of Node, since browsers load it. Tests are exempt. */
export function sharedIsPure(root: string): readonly Problem[] {
  const sources = listSources(root, `${shared}/src`).filter((file) => !isTest(file));
  const imports = sources.flatMap((path) => {
    const file = relative(root, path);
    return readModule(path)
      .specifiers.filter((specifier) => !isAllowed(root, path, specifier))
      .map((specifier) => ({
        file,
        message: `imports ${specifier}; ${shared} may only import zod and its own files`,
      }));
  });

  // Compiled with browser types, Node's globals (Buffer, process) are unknown names. The package's `types` script
  // compiles with Node's types, which excludes browser globals.
  const { isClean, lines } = runTsc(
    root,
    {
      extends: join(root, shared, 'tsconfig.json'),
      include: [join(root, shared, 'src')],
      exclude: [join(root, shared, 'src/**/*.test.ts')],
      compilerOptions: { types: [], lib: ['es2024', 'esnext.disposable', 'dom'] },
    },
    [],
  );
  const types = isClean
    ? []
    : [{ file: shared, message: `does not compile without Node's types:\n${lines.join('\n')}` }];
  return [...imports, ...types];
}

function isAllowed(root: string, importer: string, specifier: string): boolean {
  if (specifier === 'zod' || specifier.startsWith('zod/')) return true;
  if (!specifier.startsWith('.')) return false;
  const target = resolve(dirname(importer), specifier);
  return target.startsWith(join(root, shared, 'src/')) && !isTest(target);
}
