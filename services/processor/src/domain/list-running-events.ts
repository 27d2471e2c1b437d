import type { Logger } from '@app/runtime/log';
import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import { raceColumns } from './course/race-columns.ts';

export interface RunningEvent {
  readonly id: string;
  readonly name: string;
}

/**
 * Lists the events whose race status is `running`, by id. None, if Directus' tables lack what results are computed from or
 * may not be read; that is logged when it begins, with what to do, and when it ends.
 */
export function createRunningEventsLister(log: Logger): (sql: Sql) => Promise<readonly RunningEvent[]> {
  let reported = '';
  return async (sql) => {
    const unreadable = await findUnreadableColumns(sql);
    const found = unreadable.join(', ');
    if (found !== reported) {
      if (found === '') log.info('results are computed: the tables of the course can be read');
      else {
        log.warn(
          { columns: unreadable },
          'results are not computed: Directus lacks columns, or the processor may not read them. Run ' +
            './run directus-setup, then ./run migrate; positions are stored as before',
        );
      }
      reported = found;
    }
    return unreadable.length > 0 ? [] : await selectRunningEvents(sql);
  };
}

/** `table.column`, or only `table` where all of its columns are missing or may not be read. */
async function findUnreadableColumns(sql: Sql): Promise<readonly string[]> {
  const needed = Object.entries(raceColumns).flatMap(([table, columns]) =>
    columns.map((column) => ({ table, column })),
  );
  const rows = densify(
    await sql<{ table: string; column: string }[]>`
      select "table", "column"
        from json_to_recordset(${JSON.stringify(needed)}::text::json) as needed ("table" text, "column" text)
       where not exists (
         select from pg_attribute
          where attrelid = to_regclass("table") and attname = "column" and not attisdropped
            and has_column_privilege(attrelid, attnum, 'select'))`,
  );
  return Object.entries(raceColumns).flatMap(([table, columns]) => {
    const ofTable = rows.filter((row) => row.table === table);
    if (ofTable.length === columns.length) return [table];
    return ofTable.map(({ column }) => `${table}.${column}`);
  });
}

async function selectRunningEvents(sql: Sql): Promise<readonly RunningEvent[]> {
  return densify(
    await sql<RunningEvent[]>`
      select id::text as id, coalesce(name, '') as name from events where race_status = 'running' order by id`,
  );
}
