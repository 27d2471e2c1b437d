import { readFileSync } from 'node:fs';
import { parseSync, type StaticExportEntry } from 'oxc-parser';

interface Module {
  /** What the file imports or re-exports from, types included, in order; dynamic imports by their source text. */
  readonly specifiers: readonly string[];
  /** Of these, the ones of which it hands something on: `export … from`, or an imported name in its exports. */
  readonly reExported: ReadonlySet<string>;
}

/** The module edges of one TypeScript file. Throws on a file that does not parse. */
export function readModule(file: string): Module {
  const text = readFileSync(file, 'utf8');
  const { module, errors } = parseSync(file, text);
  const [error] = errors;
  if (error) throw new Error(`${file} does not parse: ${error.message}`);

  const exported = module.staticExports.flatMap((statement) => statement.entries);
  const importedFrom = new Map(
    module.staticImports.flatMap((statement) =>
      statement.entries.map((entry) => [entry.localName.value, statement.moduleRequest.value]),
    ),
  );
  const from = (entry: StaticExportEntry): string | undefined =>
    entry.moduleRequest?.value ?? importedFrom.get(entry.localName.name ?? '');

  return {
    specifiers: [
      ...module.staticImports.map((statement) => statement.moduleRequest.value),
      ...exported.flatMap((entry) => entry.moduleRequest?.value ?? []),
      ...module.dynamicImports.map(({ moduleRequest }) =>
        unquote(text.slice(moduleRequest.start, moduleRequest.end)),
      ),
    ],
    reExported: new Set(exported.flatMap((entry) => from(entry) ?? [])),
  };
}

function unquote(source: string): string {
  return /^(['"`])(.*)\1$/s.exec(source)?.[2] ?? source;
}
