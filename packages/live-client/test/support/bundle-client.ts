import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

export interface ClientBundle {
  /** An ES module, minified, that exports `connect`. */
  readonly code: string;
  /** What it still imports. */
  readonly imports: readonly string[];
  /** The files it was made of; absolute paths. */
  readonly modules: readonly string[];
}

/** The client as a page's bundler would make it. */
export async function bundleClient(): Promise<ClientBundle> {
  await using bundle = await rolldown({
    input: fileURLToPath(new URL('../../src/connect.ts', import.meta.url)),
    platform: 'browser',
  });
  const { output } = await bundle.generate({ format: 'es', minify: true });
  const [chunk] = output;
  return { code: chunk.code, imports: chunk.imports, modules: chunk.moduleIds };
}
