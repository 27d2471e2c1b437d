import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

export interface ClientBundle {
  /** A minified ES module that exports `connect`. */
  readonly code: string;
  /** Remaining imports. */
  readonly imports: readonly string[];
  /** Absolute paths of the bundled files. */
  readonly modules: readonly string[];
}

/** Bundles the client, or another of its entries, as for a page. */
export async function bundleClient(entry: 'connect' | 'inflate' = 'connect'): Promise<ClientBundle> {
  await using bundle = await rolldown({
    input: fileURLToPath(new URL(`../../src/${entry}.ts`, import.meta.url)),
    platform: 'browser',
  });
  const { output } = await bundle.generate({ format: 'es', minify: true });
  const [chunk] = output;
  return { code: chunk.code, imports: chunk.imports, modules: chunk.moduleIds };
}
