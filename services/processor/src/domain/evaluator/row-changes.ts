import { resultTables, type ResultTableName, type TableRow } from './result-tables.ts';
import { knownRow, type KnownRows, type ResultChanges } from './write-results.ts';

/** A row that is added (no `before`), changed, or removed (no `after`). */
export interface RowChange {
  readonly table: ResultTableName;
  readonly key: string;
  readonly before: TableRow | undefined;
  readonly after: TableRow | undefined;
}

/** Changes row by row, with what the tables hold now. */
export function listRowChanges(changes: ResultChanges, known: KnownRows): readonly RowChange[] {
  return Object.values(resultTables).flatMap(({ name: table }) => {
    const { rows, gone } = changes[table];
    const set = rows.map((after) => ({ key: String(after['key']), after }));
    const removed = gone.map((key) => ({ key, after: undefined }));
    return [...set, ...removed].map(({ key, after }) => ({
      table,
      key,
      before: knownRow(known, table, key),
      after,
    }));
  });
}
