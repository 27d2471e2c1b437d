import type { PostgresClient } from '@app/runtime/postgres-client';
import { resultTables } from './result-tables.ts';

const tables = [...Object.keys(resultTables), 'race_problems', 'dirty_entries'];

/**
 * Deletes what was computed of events that no longer exist, except for its history. Not while one may still be evaluated:
 * what is written after this would stay.
 */
export async function deleteResultsOfDeletedEvents(postgres: PostgresClient): Promise<void> {
  await postgres.run(async (sql) => {
    const [events] = await sql`
      select has_column_privilege(to_regclass('events'), 'id', 'select') as "isReadable"`;
    // Without Directus' tables there are no results.
    if (events?.['isReadable'] === true) await sql.unsafe(statement);
  }, 'deleting results of deleted events');
}

const statement = `
  with gone as materialized (
    delete from evaluations
     where renewed_at < clock_timestamp() - interval '1 hour'
       and not exists (select from events where events.id = event_id)
    returning event_id
  ), ${tables
    .map(
      (table) => `${table}_gone as (delete from ${table} using gone where ${table}.event_id = gone.event_id)`,
    )
    .join(', ')}
  select count(*) from gone`;
