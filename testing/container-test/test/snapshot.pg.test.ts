import { readFileSync } from 'node:fs';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

interface Snapshot {
  readonly collections: readonly { readonly collection: string }[];
  readonly fields: readonly {
    readonly collection: string;
    readonly field: string;
    /** Missing for an alias, which has no column. */
    readonly schema?: Column;
  }[];
  readonly relations: readonly {
    readonly collection: string;
    readonly field: string;
    readonly schema: { readonly on_delete: string };
  }[];
}

interface Column {
  readonly data_type: string;
  readonly max_length: number | null;
  readonly numeric_precision: number | null;
  readonly numeric_scale: number | null;
  readonly default_value: string | number | boolean | null;
  readonly foreign_key_table: string | null;
}

test("Directus' collections have the columns, types and references of the test tables", async () => {
  const file = new URL('../../../deploy/directus/snapshot.yaml', import.meta.url);
  const { collections, fields, relations }: Snapshot = parse(readFileSync(file, 'utf8'));
  await using database = await startPostgres();
  const sql = postgres(database.url, { max: 1 });
  const tables = collections.map(({ collection }) => collection).join(',');
  const rows = await sql<{ column: string }[]>`
    select concat_ws(' ', columns.table_name || '.' || columns.column_name, data_type,
                     coalesce(character_maximum_length, numeric_precision), numeric_scale,
                     'default ' || trim('''' from lower(split_part(column_default, '::', 1))),
                     'references ' || confrelid::regclass || ' on delete ' ||
                     case confdeltype when 'c' then 'cascade' when 'n' then 'set null' end) as column
    from information_schema.columns
    left join pg_constraint on contype = 'f' and conrelid = columns.table_name::regclass
                           and conkey = array[columns.ordinal_position::int2]
    where columns.table_name = any (string_to_array(${tables}, ','))`;
  await sql.end();
  const expected = fields.flatMap(({ collection, field, schema }) => {
    if (schema === undefined) return [];
    const relation = relations.find((one) => one.collection === collection && one.field === field);
    return [`${collection}.${field} ${describeColumn(schema, relation?.schema.on_delete)}`];
  });
  expect(rows.map(({ column }) => column).toSorted()).toEqual(expected.toSorted());
});

function describeColumn(column: Column, onDelete = 'no relation'): string {
  const { default_value, foreign_key_table } = column;
  return [
    column.data_type,
    column.max_length ?? column.numeric_precision,
    column.numeric_scale,
    default_value === null ? null : `default ${String(default_value)}`.toLowerCase(),
    foreign_key_table === null ? null : `references ${foreign_key_table} on delete ${onDelete.toLowerCase()}`,
  ]
    .filter((part) => part !== null)
    .join(' ');
}
