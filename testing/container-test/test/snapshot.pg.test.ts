import { readFileSync } from 'node:fs';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

interface Snapshot {
  readonly fields: readonly {
    readonly collection: string;
    readonly field: string;
    /** Missing for an alias, which has no column. */
    readonly schema?: { readonly data_type: string; readonly foreign_key_table: string | null };
  }[];
}

test("Directus' collections have the columns, types and references of the test tables", async () => {
  const file = new URL('../../../deploy/directus/snapshot.yaml', import.meta.url);
  const { fields }: Snapshot = parse(readFileSync(file, 'utf8'));
  await using database = await startPostgres();
  const sql = postgres(database.url, { max: 1 });
  const rows = await sql<{ name: string; type: string; references: string | null }[]>`
    select columns.table_name || '.' || columns.column_name as name, data_type as type,
           (select confrelid::regclass::text from pg_constraint
             where contype = 'f' and conrelid = columns.table_name::regclass
               and conkey = array[columns.ordinal_position::int2]) as references
    from information_schema.columns
    where columns.table_name in ('devices', 'events', 'entries', 'entry_devices', 'event_viewers')`;
  await sql.end();
  const actual = rows.map(({ name, type, references }) => [name, type, references]);
  const expected = fields.flatMap(({ collection, field, schema }) =>
    schema === undefined ? [] : [[`${collection}.${field}`, schema.data_type, schema.foreign_key_table]],
  );
  expect(new Set(actual.map(String))).toEqual(new Set(expected.map(String)));
});
