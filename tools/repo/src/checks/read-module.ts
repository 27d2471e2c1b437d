import { readFileSync } from 'node:fs';
import { parseSync, type StaticExportEntry } from 'oxc-parser';

interface Module {
  /** Modules that the file imports or re-exports from, including types and dynamic imports. */
  readonly specifiers: readonly string[];
  /** Those that it re-exports from, by `export … from` or by exporting an imported name. */
  readonly reExported: ReadonlySet<string>;
}

/** Reads a TypeScript file's imports and re-exports. Throws if it does not parse. */
export function readModule(file: string): Module {
  const source = readFileSync(file, 'utf8');
  const { module, errors } = parseSync(file, source);
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
        unquote(source.slice(moduleRequest.start, moduleRequest.end)),
      ),
    ],
    reExported: new Set(exported.flatMap((entry) => from(entry) ?? [])),
  };
}

function unquote(quoted: string): string {
  return /^(['"`])(.*)\1$/s.exec(quoted)?.[2] ?? quoted;
}
