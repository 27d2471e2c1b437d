import { densify } from '@app/runtime/postgres';
import type { TransactionSql } from 'postgres';

/** Some 100 kB of any table. */
const rowsPerPage = 1000;

/** The rows of a query, page by page. To be called in a transaction, since pages are read with a cursor. */
export async function* readRows<T extends object>(
  sql: TransactionSql,
  statement: string,
  values: readonly string[],
): AsyncGenerator<readonly T[]> {
  for await (const page of sql.unsafe<T[]>(statement, [...values]).cursor(rowsPerPage)) yield densify(page);
}
