import { densify } from '@app/runtime/postgres';
import type { Sql } from 'postgres';
import type { ResultsSnapshot, Revision } from './event-results.ts';
import { readRows, resultTables } from './result-rows.ts';

/** Of an event without an evaluation. */
const noRevision: Revision = { revision: 0, revisedAtUs: '0' };

const revisionColumns = `revision::float8 as revision,
  (extract(epoch from revised_at) * 1000000)::bigint::text as "revisedAtUs"`;

// One statement, so that revision and rows are of one moment.
const statement = [
  `select null as "table", to_jsonb(held) as row
     from (select ${revisionColumns} from evaluations where event_id = $1::uuid) as held`,
  ...resultTables.map(
    (table) => `select '${table}', to_jsonb(${table}) from ${table} where event_id = $1::uuid`,
  ),
].join(' union all ');

/** What the tables hold of an event. Rejects with postgres.js' errors. */
export async function readResults(sql: Sql, eventId: string): Promise<ResultsSnapshot> {
  const rows = densify(
    await sql.unsafe<{ table: string | null; row: Revision & Readonly<Record<string, unknown>> }[]>(
      statement,
      [eventId],
    ),
  );
  const byTable = Map.groupBy(rows, ({ table }) => table);
  return {
    revision: byTable.get(null)?.[0]?.row ?? noRevision,
    rows: new Map(
      resultTables.map((table) => [
        table,
        readRows(
          eventId,
          (byTable.get(table) ?? []).map(({ row }) => row),
        ),
      ]),
    ),
  };
}

/** The revisions of these events, by id. Rejects with postgres.js' errors. */
export async function readRevisions(
  sql: Sql,
  eventIds: readonly string[],
): Promise<(eventId: string) => Revision> {
  const rows = densify(
    await sql.unsafe<(Revision & { eventId: string })[]>(
      `select event_id::text as "eventId", ${revisionColumns} from evaluations where event_id = any ($1::uuid[])`,
      [`{${eventIds.join(',')}}`],
    ),
  );
  const byEvent = new Map(rows.map((row) => [row.eventId, row]));
  return (eventId) => byEvent.get(eventId) ?? noRevision;
}
