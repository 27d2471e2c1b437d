import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DirectusRefusal, field, type DirectusApi } from './directus-api.ts';

const file = new URL('../../../deploy/directus/tables.json', import.meta.url);

const tablesFile = z.strictObject({
  tables: z.array(
    z.strictObject({
      table: z.string(),
      icon: z.string(),
      /** Columns of the list, and its order; a minus means descending. */
      list: z.array(z.string()),
      sort: z.array(z.string()),
      editable: z.array(z.string()).default([]),
    }),
  ),
  /** Of columns of type uuid, by their name. */
  references: z.record(z.string(), z.strictObject({ collection: z.string(), template: z.string() })),
});

type Table = z.infer<typeof tablesFile>['tables'][number];
type References = z.infer<typeof tablesFile>['references'];

/** Adds the tables of the migrations to a Directus; returns which it added, and how many it cannot read or does not see. */
export async function addTables(
  api: DirectusApi,
  print: (line: string) => void,
): Promise<{ readonly added: readonly string[]; readonly refused: number }> {
  const { tables, references } = tablesFile.parse(JSON.parse(await readFile(file, 'utf8')));
  const collections = listOf(await api('GET', '/collections'));
  const known = new Map(collections.map((each) => [field(each, 'collection'), field(each, 'meta')]));
  const missing = tables.filter(({ table }) => !known.has(table)).map(({ table }) => table);
  if (missing.length > 0) {
    print(`not there yet: ${missing.join(', ')}. Run the migrations (./run migrate), then this again`);
  }
  const added: string[] = [];
  let refused = 0;
  for (const each of tables) {
    const { table } = each;
    if (known.get(table) !== null) continue;
    // Directus remembers which tables there are, from before the migrations.
    if (added.length === 0) await api('POST', '/utils/cache/clear?system');
    print(`adding table ${table}`);
    await addTable(api, each, references);
    added.push(table);
    if (await isReadable(api, table)) continue;
    refused += 1;
    print(
      `refused: Directus' database role may not read ${table}. Let it: grant tracking_directus to <role>; (deploy/directus/README.md)`,
    );
  }
  return { added, refused };
}

async function addTable(api: DirectusApi, each: Table, references: References): Promise<void> {
  const { table, icon, list, sort } = each;
  const note = field(field(await api('GET', `/collections/${table}`), 'schema'), 'comment');
  const columns = listOf(await api('GET', `/fields/${table}`));
  const isReference = (column: unknown): boolean =>
    field(column, 'type') === 'uuid' && nameOf(column) in references;
  await api(
    'PATCH',
    `/fields/${table}`,
    columns.map((column, at) => ({
      field: nameOf(column),
      meta: {
        note: field(field(column, 'schema'), 'comment') ?? null,
        sort: at + 1,
        readonly: !each.editable.includes(nameOf(column)),
        required: each.editable.includes(nameOf(column)),
        ...(field(column, 'type') === 'timestamp' && {
          interface: 'datetime',
          options: { includeSeconds: true },
        }),
        ...(isReference(column) && showReference(references[nameOf(column)]?.template ?? '')),
        ...(nameOf(column) === 'marked_by' && { special: ['user-created', 'user-updated'] }),
      },
    })),
  );
  for (const column of columns.filter(isReference)) {
    await addReference(api, table, nameOf(column), references[nameOf(column)]?.collection ?? '');
  }
  const isPreset = { collection: table, layout: 'tabular', user: null, role: null, bookmark: null };
  await api('POST', '/presets', { ...isPreset, layout_query: { tabular: { fields: list, sort } } });
  // Last: a table that has it is left alone by the next run.
  await api('PATCH', `/collections/${table}`, { meta: { icon, note } });
}

function showReference(template: string): object {
  return {
    special: ['m2o'],
    interface: 'select-dropdown-m2o',
    options: { template },
    display: 'related-values',
    display_options: { template },
  };
}

/**
 * A relation without a foreign key, since a result outlives what it is about. Directus adds the key to a relation that is
 * created with its collection, but not to one that gets it afterwards.
 */
async function addReference(api: DirectusApi, table: string, column: string, to: string): Promise<void> {
  const path = `/relations/${table}/${column}`;
  const existing = await api('GET', `/relations/${table}`);
  if (!listOf(existing).some((relation) => nameOf(relation) === column)) {
    await api('POST', '/relations', { collection: table, field: column, related_collection: null, meta: {} });
  }
  await api('PATCH', path, { meta: { one_collection: to } });
}

async function isReadable(api: DirectusApi, table: string): Promise<boolean> {
  try {
    await api('GET', `/items/${table}?limit=1`);
    return true;
  } catch (error) {
    if (error instanceof DirectusRefusal) return false;
    throw error;
  }
}

function nameOf(column: unknown): string {
  return String(field(column, 'field'));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
